package crash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	driver "github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/redis"
	"github.com/rota-dev/rota/rotation"
)

func TestRedisUsersThroughEveryFault(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	matrix(t, "Redis users", 16, life{name: "a user of two servers", build: inOwnStore(r.user), kinds: fewKinds, steps: lifeOfTwoPasswords})
}

// redises are two servers with the same users.
type redises struct {
	servers []*testenv.RedisServer
	super   []*driver.Client
}

func newRedis(t *testing.T) *redises {
	r := &redises{}
	for range 2 {
		s := testenv.Redis(t, testenv.RedisOptions{})
		s.Do(t, "acl", "setuser", "rota", "on", "+@all", ">admin-password")
		s.Do(t, "acl", "setuser", "other", "on", ">other-password")
		client := r.client(s, "", "")
		t.Cleanup(func() { _ = client.Close() })
		r.servers, r.super = append(r.servers, s), append(r.super, client)
	}
	return r
}

func (r *redises) client(s *testenv.RedisServer, user, password string) *driver.Client {
	return driver.NewClient(&driver.Options{Network: "unix", Addr: s.Socket, Protocol: 2, DisableIdentity: true, MaxRetries: -1, Username: user, Password: password})
}

// redisUser is one cell's.
type redisUser struct {
	r    *redises
	name string

	mu      sync.Mutex
	unsaved [2]bool // servers that would forget a change
}

func (r *redises) user(t testing.TB, s *scene) fixture {
	u := &redisUser{r: r, name: "app" + strconv.FormatInt(scenes.Add(1), 10)}
	cfg := redis.Config{Username: "rota", Password: "admin-password"}
	var proxies []*proxy
	for i, server := range r.servers {
		if err := u.do(i, "setuser", u.name, "on", "~app:*", "+get"); err != nil {
			t.Fatal(err)
		}
		p := &proxy{w: s.w, server: server.Socket, name: []string{"first", "second"}[i], op: u.op, heard: func(words []string) { u.heard(i, words) }}
		address, err := p.start()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Addresses, proxies = append(cfg.Addresses, address), append(proxies, p)
	}
	connection, err := redis.New("cache", cfg)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := connection.User(redis.UserConfig{Name: u.name})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) error { secret.Issuer = issuer; return nil },
		traits:  issuer.Traits(), id: hashed,
		works: u.works, logIn: u.logIn, exists: u.exists, intact: u.intact,
		close: func() {
			connection.Close()
			for i, p := range proxies {
				p.close()
				_ = u.do(i, "deluser", u.name)
			}
		},
	}
}

// op is what a command does. Rota's own logins aren't counted: how many there are
// depends on how many connections were cut.
func (u *redisUser) op(words []string) string {
	command := strings.ToLower(strings.Join(words[:min(2, len(words))], " "))
	switch {
	case words[0] == "hello" && slices.Contains(words, u.name), strings.HasPrefix(command, "auth ") && words[1] == u.name:
		return "test"
	case command == "acl setuser" && strings.HasPrefix(words[3], "#"):
		return "set"
	case command == "acl setuser":
		return "delete"
	case command == "acl getuser":
		return "look"
	case command == "acl save":
		return "write"
	case command == "client list":
		return "last used"
	}
	return ""
}

// heard notes what a server would forget if it were restarted.
func (u *redisUser) heard(server int, words []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.op(words) {
	case "set", "delete":
		u.unsaved[server] = true
	case "write":
		u.unsaved[server] = false
	}
}

func (u *redisUser) do(server int, words ...any) error {
	return u.r.super[server].Do(context.Background(), append([]any{"acl"}, words...)...).Err()
}

// passwords are the hashes of the user's passwords on a server.
func (u *redisUser) passwords(server int) ([]string, error) {
	answer, err := u.r.super[server].Do(context.Background(), "acl", "getuser", u.name).Slice()
	if err != nil {
		return nil, err
	}
	at := slices.Index(answer, any("passwords"))
	if at < 0 || at+1 >= len(answer) {
		return nil, fmt.Errorf("no passwords in %v", answer)
	}
	var hashes []string
	for _, h := range answer[at+1].([]any) {
		hashes = append(hashes, h.(string))
	}
	return hashes, nil
}

// hashed is a password as the server has it, "" if there's none.
func hashed(c rota.Credential) string {
	if c.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(c.Field(rota.FieldPassword)))
	return hex.EncodeToString(sum[:])
}

// works reports whether all servers have the password.
func (u *redisUser) works(c rota.Credential) (bool, error) {
	for i := range u.r.servers {
		hashes, err := u.passwords(i)
		if err != nil || !slices.Contains(hashes, hashed(c)) {
			return false, err
		}
	}
	return true, nil
}

func (u *redisUser) logIn(c rota.Credential) error {
	var errs []error
	for _, s := range u.r.servers {
		client := u.r.client(s, c.Field(rota.FieldUsername), c.Field(rota.FieldPassword))
		if err := client.Get(context.Background(), "app:1").Err(); !errors.Is(err, driver.Nil) {
			errs = append(errs, err)
		}
		_ = client.Close()
	}
	return errors.Join(errs...)
}

// exists are the passwords that any server has.
func (u *redisUser) exists() (map[string]bool, error) {
	exist := map[string]bool{}
	for i := range u.r.servers {
		hashes, err := u.passwords(i)
		if err != nil {
			return nil, err
		}
		for _, h := range hashes {
			exist[h] = true
		}
	}
	return exist, nil
}

func (u *redisUser) intact() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, unsaved := range u.unsaved {
		if unsaved {
			return fmt.Errorf("a restart of server %d would undo what was changed", i+1)
		}
	}
	return nil
}
