package mongodb_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/mongodb"
	"github.com/rota-dev/rota/internal/testenv"
)

const name = "prod/orders-db"

// world is a FerretDB with two users.
type world struct {
	server *testenv.FerretDBServer
	source *clienttest.Source
	secret *client.Secret
}

func newWorld(t *testing.T, push bool) *world {
	t.Helper()
	w := &world{server: testenv.FerretDB(t, testenv.FerretDBOptions{}), source: clienttest.NewSource()}
	if !push {
		w.source.DisablePush()
	}
	for _, user := range []string{"orders_a", "orders_b"} {
		w.server.Do(t, "admin", bson.D{{Key: "createUser", Value: user}, {Key: "pwd", Value: "first"}, {Key: "roles", Value: bson.A{}}})
	}
	c, err := client.Open(client.Options{Source: w.source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w.secret = c.Secret(name)
	return w
}

// set sets a user's password and makes it the secret's current version.
func (w *world) set(t *testing.T, user, password string) {
	t.Helper()
	w.server.Do(t, "admin", bson.D{{Key: "updateUser", Value: user}, {Key: "pwd", Value: password}})
	w.source.Set(name, map[string]string{"username": user, "password": password})
}

func (w *world) connect(t *testing.T, o mongodb.Options) *mongodb.Client {
	t.Helper()
	base := options.Client().SetHosts([]string{w.server.Addr}).SetDirect(true).SetServerSelectionTimeout(5 * time.Second)
	c, err := mongodb.Connect(t.Context(), base, w.secret, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// user is whom a client is logged in as.
func user(ctx context.Context, c *mongo.Client) (string, error) {
	var answer struct {
		AuthInfo struct {
			AuthenticatedUsers []struct{ User string }
		} `bson:"authInfo"`
	}
	err := c.Database("admin").RunCommand(ctx, bson.D{{Key: "connectionStatus", Value: 1}}).Decode(&answer)
	if err != nil || len(answer.AuthInfo.AuthenticatedUsers) == 0 {
		return "", err
	}
	return answer.AuthInfo.AuthenticatedUsers[0].User, nil
}

func TestClientsUnderLoadSurviveRotations(t *testing.T) {
	w := newWorld(t, true)
	users := [2]string{"orders_a", "orders_b"}
	w.set(t, users[0], "password-0")
	c := w.connect(t, mongodb.Options{Grace: 100 * time.Millisecond})
	stop := testenv.Load(t, 4, func(ctx context.Context) error {
		_, err := user(ctx, c.Get())
		return err
	})
	for round := 1; round <= 10; round++ {
		w.set(t, users[round%2], fmt.Sprintf("password-%d", round))
		testenv.Eventually(t, "the new login is used", func() bool {
			got, err := user(t.Context(), c.Get())
			if err != nil {
				t.Fatal(err)
			}
			return got == users[round%2]
		})
	}
	t.Logf("%d operations through 10 rotations", stop())
}

func TestOnePasswordAtATime(t *testing.T) {
	w := newWorld(t, false)
	w.set(t, "orders_a", "one")
	if _, err := w.secret.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.set(t, "orders_a", "two") // before it's connected
	c := w.connect(t, mongodb.Options{})
	if got, err := user(t.Context(), c.Get()); err != nil || got != "orders_a" || w.secret.Status().Version != "v2" {
		t.Fatalf("%q, %v, version %s", got, err, w.secret.Status().Version)
	}
}

func TestAnOperationIsRepeatedWithTheNewLogin(t *testing.T) {
	w := newWorld(t, false)
	w.set(t, "orders_a", "one")
	c := w.connect(t, mongodb.Options{})
	old := c.Get()
	w.set(t, "orders_a", "two")
	calls := 0
	err := c.Do(t.Context(), func(ctx context.Context, m *mongo.Client) error {
		calls++
		if m == old {
			// A connection that this client has to make now, with the old password.
			return refusedLogin(t, w.server.Addr, "orders_a", "one")
		}
		_, err := user(ctx, m)
		return err
	})
	if err != nil || calls != 2 || c.Get() == old {
		t.Errorf("%v after %d calls", err, calls)
	}
	err = c.Do(t.Context(), func(context.Context, *mongo.Client) error { return context.Canceled })
	if err == nil || mongodb.Refused(err) {
		t.Errorf("another error: %v", err)
	}
}

// refusedLogin is what the driver answers for a login that's refused.
func refusedLogin(t *testing.T, addr, user, password string) error {
	t.Helper()
	c, err := mongo.Connect(options.Client().SetHosts([]string{addr}).SetDirect(true).SetServerSelectionTimeout(5 * time.Second).
		SetAuth(options.Credential{Username: user, Password: password}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Disconnect(context.WithoutCancel(t.Context())) }()
	err = c.Ping(t.Context(), nil)
	if !mongodb.Refused(err) {
		t.Fatalf("a wrong password: %v", err)
	}
	return err
}

func TestALoginThatNobodyAccepts(t *testing.T) {
	w := newWorld(t, false)
	w.source.Set(name, map[string]string{"username": "orders_a", "password": "wrong-canary"})
	base := options.Client().SetHosts([]string{w.server.Addr}).SetDirect(true).SetServerSelectionTimeout(5 * time.Second)
	_, err := mongodb.Connect(t.Context(), base, w.secret, mongodb.Options{})
	if !mongodb.Refused(err) || strings.Contains(err.Error(), "wrong-canary") {
		t.Errorf("%v", err)
	}
	_, err = mongodb.Connect(t.Context(), base, w.secret, mongodb.Options{Password: "passwort"})
	if err == nil || !strings.Contains(err.Error(), `no field "passwort"`) {
		t.Errorf("%v", err)
	}
}
