package clienttest_test

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/rotaserver"
	"github.com/rota-dev/rota/client/secretsmanager"
	"github.com/rota-dev/rota/internal/testenv"
)

const db = "prod/orders-db"

func fields(password string) map[string]string {
	return map[string]string{"username": "orders", "password": password}
}

func newServer(t *testing.T) *clienttest.Server {
	t.Helper()
	s := clienttest.NewServer()
	t.Cleanup(s.Close)
	s.Set(db, fields("one"))
	return s
}

// sources are the two ways to ask a server.
func sources(t *testing.T, s *clienttest.Server) map[string]client.Source {
	t.Helper()
	server, err := api.New(api.Options{URL: s.URL, Token: api.StaticToken("any")})
	if err != nil {
		t.Fatal(err)
	}
	sdk := awssm.New(awssm.Options{BaseEndpoint: aws.String(s.URL), Region: "eu-central-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDANY", "any", "")})
	return map[string]client.Source{"rotaserver": rotaserver.New(server), "secretsmanager": secretsmanager.New(sdk)}
}

func open(t *testing.T, source client.Source) *client.Client {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Every: 20 * time.Millisecond, Check: 20 * time.Millisecond, CallTimeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func password(t *testing.T, s *client.Secret) string {
	t.Helper()
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Field("password")
}

func TestWhatAServerDoesToAProgram(t *testing.T) {
	for _, kind := range []string{"rotaserver", "secretsmanager"} {
		t.Run(kind, func(t *testing.T) {
			server := newServer(t)
			s := open(t, sources(t, server)[kind]).Secret(db)
			if got := password(t, s); got != "one" {
				t.Fatalf("password %q", got)
			}
			server.Set(db, fields("two"))
			testenv.Eventually(t, "the next version arrives", func() bool { return password(t, s) == "two" })
			server.RollBack(db)
			testenv.Eventually(t, "the version before is back", func() bool { return password(t, s) == "one" })

			failing := func(what string) {
				t.Helper()
				testenv.Eventually(t, "it notices "+what, func() bool { return s.Status().Err != nil })
				if got := password(t, s); got != "one" {
					t.Errorf("%s: password %q", what, got)
				}
			}
			working := func(next string) {
				t.Helper()
				server.Set(db, fields(next))
				testenv.Eventually(t, "it works again", func() bool { return password(t, s) == next })
				server.RollBack(db)
				testenv.Eventually(t, "and is rolled back", func() bool { return password(t, s) == "one" && s.Status().Err == nil })
			}
			server.Fail(errors.New("the disk is full"))
			failing("a failure")
			server.Fail(nil)
			working("three")
			server.Stop()
			failing("a server that's down")
			server.Start()
			working("four")
			server.Stop()
			server.Start()
			server.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>Sign in", http.StatusOK) }))
			failing("another one's answers")
			server.Answer(nil)
			working("five")
			server.Deny(db, true)
			testenv.Eventually(t, "it's denied", func() bool { return errors.Is(s.Status().Err, client.ErrDenied) })
			server.Deny(db, false)
			working("six")
		})
	}
}

func TestWhatTheSourcesAnswer(t *testing.T) {
	server := newServer(t)
	server.Set(db, fields("two"))
	for kind, source := range sources(t, server) {
		fetch := func(r client.Request) (client.Value, error) { return source.Fetch(t.Context(), r) }
		if v, err := fetch(client.Request{Secret: db}); err != nil || v.Version() != "v2" || v.Field("password") != "two" {
			t.Errorf("%s: %v, %v", kind, v, err)
		}
		if _, err := fetch(client.Request{Secret: db, Have: "v2"}); !errors.Is(err, client.ErrUnchanged) {
			t.Errorf("%s: unchanged: %v", kind, err)
		}
		if v, err := fetch(client.Request{Secret: db, Previous: true}); err != nil || v.Field("password") != "one" {
			t.Errorf("%s: the one before: %v, %v", kind, v, err)
		}
		if _, err := fetch(client.Request{Secret: "prod/nothing"}); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%s: one that isn't there: %v", kind, err)
		}
	}
}

// A rotation is pushed: nothing is asked for at intervals.
func TestAServerPushes(t *testing.T) {
	server := newServer(t)
	c, err := client.Open(client.Options{Source: sources(t, server)["rotaserver"], Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := c.Secret(db)
	password(t, s)
	for _, next := range []string{"two", "three"} {
		server.Set(db, fields(next))
		testenv.Eventually(t, "it's pushed", func() bool { return password(t, s) == next })
	}
}
