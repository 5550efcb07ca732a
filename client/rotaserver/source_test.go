package rotaserver_test

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/rotaserver"
	"github.com/rota-dev/rota/internal/testenv/served"
)

const cookies = "prod/session-cookies"

const config = `
secrets:
  - name: prod/session-cookies
    issuer: {secret_key: {bytes: 32}}
    policy: {rotate_every: 30d, jitter: 0s}
`

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

func open(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := client.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// key is the current key of the secret.
func key(t *testing.T, s *client.Secret) string {
	t.Helper()
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Field("key")
}

func TestARotationArrivesByItself(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	s := open(t, client.Options{Source: rotaserver.New(server.API()), Every: time.Hour}).Secret(cookies)
	seen := map[string]bool{key(t, s): true}
	for range 5 {
		server.Rotate(cookies)
		eventually(t, "the next key arrives", func() bool { return !seen[key(t, s)] })
		seen[key(t, s)] = true
		current, err := server.API().Current(t.Context(), cookies)
		if err != nil {
			t.Fatal(err)
		}
		if status := s.Status(); status.Version != current.Version {
			t.Errorf("version %s, and the server's is %s", status.Version, current.Version)
		}
	}
}

func TestAServerThatRestarts(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	s := open(t, client.Options{Source: rotaserver.New(server.API()), Every: time.Hour}).Secret(cookies)
	first := key(t, s)

	var stop atomic.Bool
	var readers sync.WaitGroup
	var slowest atomic.Int64
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				began := time.Now()
				if key(t, s) == "" {
					t.Error("a read without a value")
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				time.Sleep(time.Millisecond)
			}
		})
	}
	server.Stop()
	eventually(t, "the client notices", func() bool { return key(t, s) == first })
	server.Start()
	server.Rotate(cookies)
	eventually(t, "the next key arrives although the server was away", func() bool { return key(t, s) != first })
	stop.Store(true)
	readers.Wait()
	t.Logf("the slowest read took %s", time.Duration(slowest.Load()))
}

func TestWhatTheServerRefuses(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	create := api.AccessChange{Action: api.AccessCreatePrincipal, Name: "app/other", Rules: []api.Rule{{Action: "list", Pattern: "*"}}}
	if err := server.API().ChangeAccess(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	made, err := server.API().CreateKey(t.Context(), "app/other", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	limited, err := api.New(api.Options{URL: server.URL(), Token: api.StaticToken(made.Token)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, client.Options{Source: rotaserver.New(limited)}).Secret(cookies).Get(t.Context()); !errors.Is(err, client.ErrDenied) {
		t.Errorf("without the permission: %v", err)
	}
	c := open(t, client.Options{Source: rotaserver.New(server.API())})
	if _, err := c.Secret("prod/sesion-cookies").Get(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("with a wrong name: %v", err)
	}
	unknown, err := api.New(api.Options{URL: server.URL(), Token: api.StaticToken("rota_none")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(t, client.Options{Source: rotaserver.New(unknown), FirstWait: time.Second}).Secret(cookies).Get(t.Context())
	if !errors.Is(err, api.ErrUnauthenticated) {
		t.Errorf("with a wrong token: %v", err)
	}
}

func TestThePreviousVersion(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	source := rotaserver.New(server.API())
	first, err := source.Fetch(t.Context(), client.Request{Secret: cookies})
	if err != nil {
		t.Fatal(err)
	}
	server.Rotate(cookies)
	previous, err := source.Fetch(t.Context(), client.Request{Secret: cookies, Previous: true})
	if err != nil || previous.Version() != first.Version() || previous.Field("key") != first.Field("key") {
		t.Errorf("%v and %v, %v", first, previous, err)
	}
}
