package postgres_test

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/postgres"
)

// Fifty connections that are refused at once cost the source one request, and the
// server one refused login.
func TestConnectionsThatAreRefusedAtOnceShareOneRefresh(t *testing.T) {
	w := newWorld(t)
	w.source.DisablePush()
	c, err := client.Open(client.Options{Source: w.source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w.secret = c.Secret(name)
	if _, err := w.secret.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := w.roles[w.round%2]
	w.set(role, "the next password")

	const connections = 50
	config := w.config()
	config.MaxConns = connections
	pool, err := postgres.NewPool(t.Context(), config, w.secret, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	before := w.source.Fetches(name)
	var held, workers sync.WaitGroup
	held.Add(connections)
	for range connections {
		workers.Go(func() {
			conn, err := pool.Acquire(t.Context())
			held.Done()
			if err != nil {
				t.Error(err)
				return
			}
			held.Wait() // so that none is used twice
			conn.Release()
		})
	}
	workers.Wait()
	if n := w.source.Fetches(name) - before; n != 1 {
		t.Errorf("%d requests to the source", n)
	}
	log, err := os.ReadFile(shared.Get(t).LogFile())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), `password authentication failed for user "`+role+`"`); n != 1 {
		t.Errorf("%d refused logins", n)
	}
}
