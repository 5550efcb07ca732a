package mongodb

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
)

const adminPassword = "admin-canary-7Kq2Vn4Xp9Lm"

var names atomic.Int64

// standIn starts a stand-in.
func standIn(t testing.TB, o mongodbtest.Options) *mongodbtest.Server {
	t.Helper()
	s, err := mongodbtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// do runs a command as the stand-in's superuser.
func do(t testing.TB, s *mongodbtest.Server, db string, command bson.D) {
	t.Helper()
	if err := try(s, db, command); err != nil {
		t.Fatal(err)
	}
}

func try(s *mongodbtest.Server, db string, command bson.D) error {
	if answer := s.Run(db, command); answer[len(answer)-1].Value != 1.0 {
		return fmt.Errorf("%s: %v", command[0].Key, answer)
	}
	return nil
}

// printed finds the commands of what rota policy mongodb prints.
var printed = regexp.MustCompile(`(?s)getSiblingDB\("([^"]+)"\)\.runCommand\((.*?)\)\n`)

// admin makes Rota's user with what rota policy mongodb prints for both kinds, and the
// settings of a connection.
func admin(t testing.TB, s *mongodbtest.Server) Config {
	t.Helper()
	cfg := Config{Hosts: []string{s.Addr}, Username: "rota", Password: adminPassword, Timeout: 5 * time.Second}
	do(t, s, "admin", bson.D{{Key: "createUser", Value: "rota"}, {Key: "pwd", Value: adminPassword}, {Key: "roles", Value: bson.A{}}})
	c := connect(t, cfg)
	g := provider.Grant{Name: "db", Title: "connection db", Permissions: append(one(t, c, "app").Permissions(), pair(t, c, "a", "b").Permissions()...)}
	text, err := document([]provider.Grant{g}, nil)
	if err != nil {
		t.Fatal(err)
	}
	commands := printed.FindAllStringSubmatch(string(text), -1)
	if len(commands) != 2 {
		t.Fatalf("the policy has %d commands:\n%s", len(commands), text)
	}
	for _, command := range commands {
		var words bson.D
		if !json.Valid([]byte(command[2])) {
			t.Fatalf("the policy isn't JSON:\n%s", command[2])
		}
		if err := bson.UnmarshalExtJSON([]byte(command[2]), false, &words); err != nil {
			t.Fatal(err)
		}
		do(t, s, command[1], words)
	}
	return cfg
}

func connect(t testing.TB, cfg Config) *Connection {
	t.Helper()
	c, err := New("db", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// app makes an application's user that's free for a password.
func app(t testing.TB, s *mongodbtest.Server, mechanisms ...string) string {
	t.Helper()
	name := fmt.Sprintf("app %d/ü=,", names.Add(1))
	if len(mechanisms) == 0 {
		mechanisms = []string{"SCRAM-SHA-1", "SCRAM-SHA-256"}
	}
	do(t, s, "admin", bson.D{
		{Key: "createUser", Value: name}, {Key: "pwd", Value: "nobody-knows-this"}, {Key: "mechanisms", Value: mechanisms},
		{Key: "customData", Value: bson.D{{Key: "team", Value: "shop"}, {Key: "rota", Value: "free"}}},
		{Key: "authenticationRestrictions", Value: bson.A{bson.D{{Key: "clientSource", Value: bson.A{"127.0.0.0/8"}}}}},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "shop"}}}},
	})
	return name
}

func one(t testing.TB, c *Connection, name string) *single {
	t.Helper()
	i, err := c.Password(PasswordConfig{User: name})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*single)
}

func pair(t testing.TB, c *Connection, a, b string) *alternating {
	t.Helper()
	i, err := c.Alternating(AlternatingConfig{Users: [2]string{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*alternating)
}

// rotate creates, sets and tests a password.
func rotate(t testing.TB, i rota.Issuer, taken ...string) rota.Credential {
	t.Helper()
	c, err := i.Create(t.Context(), rota.CreateRequest{Taken: taken})
	if err == nil {
		err = i.Set(t.Context(), rota.SetRequest{Credential: c})
	}
	if err == nil {
		err = i.Test(t.Context(), rota.TestRequest{Credential: c})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// consumer is a client that doesn't go through the provider.
func consumer(t testing.TB, addr string, c rota.Credential) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().SetHosts([]string{addr}).SetAppName("shop").SetMaxPoolSize(1).SetServerSelectionTimeout(5 * time.Second).
		SetAuth(options.Credential{AuthSource: "admin", Username: c.Field(rota.FieldUsername), Password: c.Field(rota.FieldPassword)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client
}

// asks is a consumer's request.
func asks(t testing.TB, client *mongo.Client) error {
	return client.Database("shop").RunCommand(t.Context(), bson.D{{Key: "count", Value: "orders"}}).Err()
}

// logsIn is a login that doesn't go through the provider.
func logsIn(t testing.TB, s *mongodbtest.Server, c rota.Credential) bool {
	t.Helper()
	err := asks(t, consumer(t, s.Addr, c))
	if err != nil && code(err) != codeAuthenticationFailed {
		t.Fatal(err)
	}
	return err == nil
}

// wantError checks an error's class, sentinel (nil for any) and words, and that it
// names the system and holds no password.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminPassword, append(words, "mongodb db: ")...)
}

// ferret is a FerretDB and the settings of a connection to it.
func ferret(t testing.TB) (*testenv.FerretDBServer, Config) {
	t.Helper()
	s := testenv.FerretDB(t, testenv.FerretDBOptions{})
	s.Do(t, "admin", bson.D{{Key: "createUser", Value: "rota"}, {Key: "pwd", Value: adminPassword}, {Key: "roles", Value: bson.A{}}})
	return s, Config{Hosts: []string{s.Addr}, Username: "rota", Password: adminPassword, Timeout: 5 * time.Second}
}
