package crash

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/rabbitmq"
)

var sharedRabbitMQ testenv.SharedRabbitMQ

func TestRabbitMQUsersThroughEveryFault(t *testing.T) {
	t.Parallel()
	r := &rabbit{server: sharedRabbitMQ.Get(t)}
	r.put(t, "rota", map[string]any{"password": "administrator's-password", "tags": "administrator"})
	r.put(t, "other", map[string]any{"password": "somebody-else's-password", "tags": ""})
	var err error
	if r.other, err = r.hash("other"); err != nil {
		t.Fatal(err)
	}
	r.rota, err = rabbitmq.New("mq", rabbitmq.Config{URL: r.server.API, AMQP: r.server.AMQP, Username: "rota", Password: "administrator's-password"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.rota.Close)
	matrix(t, "RabbitMQ users", 16,
		life{name: "a RabbitMQ user's password", build: inOwnStore(r.single), kinds: fewKinds, steps: lifeOfPassword},
		life{name: "a pair of RabbitMQ users", build: inOwnStore(r.pair), kinds: fewKinds, steps: lifeOfPair},
	)
}

// rabbit is a server, and the connection that all cells share.
type rabbit struct {
	server *testenv.RabbitMQServer
	rota   *rabbitmq.Connection
	other  []byte // the hash of a user that isn't Rota's business
}

func (r *rabbit) put(t testing.TB, name string, user map[string]any) {
	t.Helper()
	r.server.Do(t, http.MethodPut, "/users/"+name, user, nil)
}

// hash is what the server keeps of a user's password: a salt and a sum.
func (r *rabbit) hash(name string) ([]byte, error) {
	var user struct {
		Hash string `json:"password_hash"`
	}
	if err := r.server.Try(http.MethodGet, "/users/"+name, nil, &user); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(user.Hash)
}

func (r *rabbit) single(t testing.TB, s *scene) fixture {
	names := r.users(t, "app")
	i, err := r.rota.User(rabbitmq.UserConfig{User: names[0]})
	if err != nil {
		t.Fatal(err)
	}
	return r.fixture(s, i, names)
}

func (r *rabbit) pair(t testing.TB, s *scene) fixture {
	names := r.users(t, "a", "b")
	i, err := r.rota.Alternating(rabbitmq.AlternatingConfig{Users: [2]string{names[0], names[1]}})
	if err != nil {
		t.Fatal(err)
	}
	return r.fixture(s, i, names)
}

// users makes the users of one cell.
func (r *rabbit) users(t testing.TB, names ...string) []string {
	n := strconv.FormatInt(scenes.Add(1), 10)
	for i := range names {
		names[i] += "_" + n
		r.put(t, names[i], map[string]any{"password_hash": "", "tags": ""})
	}
	return names
}

func (r *rabbit) fixture(s *scene, i rota.Issuer, names []string) fixture {
	made := &calls{system: "rabbitmq", inner: i.(issuer), scene: s}
	return fixture{
		connect: made.connect, traits: i.Traits(), id: i.CredentialID,
		works: func(c rota.Credential) (bool, error) {
			hash, err := r.hash(c.Field(rota.FieldUsername))
			if err != nil || len(hash) < 4 {
				return false, err
			}
			sum := sha256.Sum256(append(bytes.Clone(hash[:4]), c.Field(rota.FieldPassword)...))
			return bytes.Equal(hash[4:], sum[:]), nil
		},
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, name := range names {
				hash, err := r.hash(name)
				if err != nil {
					return nil, err
				}
				if len(hash) > 0 {
					exist[name] = !strings.HasSuffix(string(hash), "rota:off")
				}
			}
			return exist, nil
		},
		intact: func() error {
			if now, err := r.hash("other"); err != nil || !bytes.Equal(now, r.other) {
				return fmt.Errorf("a foreign user was touched (%w)", err)
			}
			return nil
		},
		close: func() {
			for _, name := range names {
				_ = r.server.Try(http.MethodDelete, "/users/"+name, nil, nil)
			}
		},
	}
}
