package crash

import (
	"fmt"
	"reflect"
	"strconv"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/mongodb"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
)

func TestMongoDBUsersThroughEveryFault(t *testing.T) {
	t.Parallel()
	server, err := mongodbtest.New(mongodbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	m := &mongo{server: server}
	m.create(t, "rota", "administrator's-password", bson.D{}, "root")
	m.create(t, "other", "somebody-else's-password", bson.D{}, "readWrite")
	m.other = server.User("admin", "other")
	m.rota, err = mongodb.New("db", mongodb.Config{Hosts: []string{server.Addr}, Username: "rota", Password: "administrator's-password"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.rota.Close)
	matrix(t, "MongoDB users", 16,
		life{name: "a MongoDB user's password", build: inOwnStore(m.single), kinds: fewKinds, steps: lifeOfPassword},
		life{name: "a pair of MongoDB users", build: inOwnStore(m.pair), kinds: fewKinds, steps: lifeOfPair},
	)
}

// mongo is a stand-in, and the connection that all cells share.
type mongo struct {
	server *mongodbtest.Server
	rota   *mongodb.Connection
	other  *mongodbtest.User // a user that isn't Rota's business
}

func (m *mongo) create(t testing.TB, name, password string, custom bson.D, role string) {
	t.Helper()
	answer := m.server.Run("admin", bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: password}, {Key: "customData", Value: custom},
		{Key: "mechanisms", Value: bson.A{"SCRAM-SHA-256"}}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: role}, {Key: "db", Value: "admin"}}}}})
	if answer[len(answer)-1].Value != 1.0 {
		t.Fatal(answer)
	}
}

func (m *mongo) single(t testing.TB, s *scene) fixture {
	names := m.users(t, "app")
	i, err := m.rota.Password(mongodb.PasswordConfig{User: names[0]})
	if err != nil {
		t.Fatal(err)
	}
	return m.fixture(s, i, names)
}

func (m *mongo) pair(t testing.TB, s *scene) fixture {
	names := m.users(t, "a", "b")
	i, err := m.rota.Alternating(mongodb.AlternatingConfig{Users: [2]string{names[0], names[1]}})
	if err != nil {
		t.Fatal(err)
	}
	return m.fixture(s, i, names)
}

// users makes the users of one cell.
func (m *mongo) users(t testing.TB, names ...string) []string {
	n := strconv.FormatInt(scenes.Add(1), 10)
	for i := range names {
		names[i] += "_" + n
		m.create(t, names[i], "nobody-knows-this", bson.D{{Key: "rota", Value: "free"}}, "readWrite")
	}
	return names
}

// off reports whether no login meets the user's restrictions.
func off(u *mongodbtest.User) bool { return len(u.Restrictions) > 0 }

func (m *mongo) fixture(s *scene, i rota.Issuer, names []string) fixture {
	made := &calls{system: "mongodb", inner: i.(issuer), scene: s}
	return fixture{
		connect: made.connect, traits: i.Traits(), id: i.CredentialID,
		works: func(c rota.Credential) (bool, error) {
			u := m.server.User("admin", c.Field(rota.FieldUsername))
			return u != nil && !off(u) && u.Accepts(c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)), nil
		},
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, name := range names {
				u := m.server.User("admin", name)
				if len(u.CustomData) == 1 && u.CustomData[0].Value == "free" {
					continue
				}
				exist[name] = !off(u)
			}
			return exist, nil
		},
		intact: func() error {
			if now := m.server.User("admin", "other"); !reflect.DeepEqual(now, m.other) {
				return fmt.Errorf("a foreign user was touched: %+v", now)
			}
			return nil
		},
		close: func() {
			for _, name := range names {
				m.server.Run("admin", bson.D{{Key: "dropUser", Value: name}})
			}
		},
	}
}
