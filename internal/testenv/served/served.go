// Package served runs rota serve inside a test, for tests of what talks to it.
package served

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/internal/store"
)

// Server is a rota serve on SQLite. It can be stopped and started again, on the same
// address.
type Server struct {
	t       testing.TB
	dir     string
	address string
	key     access.Issued
	cancel  context.CancelFunc
	ended   chan error
}

// Start runs a server with this rota.yaml until the test ends.
func Start(t testing.TB, config string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	if err := os.WriteFile(s.file(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

func (s *Server) file() string { return filepath.Join(s.dir, "rota.yaml") }

// URL is where the server is.
func (s *Server) URL() string { return "http://" + s.address }

// Token is the first administrator's.
func (s *Server) Token() string { return s.key.Token() }

// AccessKey is the first administrator's, for AWS's signatures.
func (s *Server) AccessKey() (id, secret string) { return s.key.Key.ID, s.key.Secret.Reveal() }

// API returns a client of the first administrator.
func (s *Server) API() *api.Client {
	s.t.Helper()
	c, err := api.New(api.Options{URL: s.URL(), Token: api.StaticToken(s.Token())})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Rotate rotates a secret now.
func (s *Server) Rotate(secret string) {
	s.t.Helper()
	done, err := s.API().Work(s.t.Context(), api.WorkRequest{Operation: api.OpRotate, Secrets: []string{secret}})
	if err != nil || len(done.Secrets) != 1 || done.Secrets[0].State != api.WorkDone {
		s.t.Fatalf("rotate %s: %+v, %v", secret, done, err)
	}
}

// Start starts a server that was stopped.
func (s *Server) Start() {
	t := s.t
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(s.dir, "data"), Actor: "rota serve"})
	if err != nil {
		t.Fatal(err)
	}
	if s.key.Key.ID == "" {
		if s.key, err = access.NewAdministration(db.Directory(), db.Audit(), nil).Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	catalog := config.MustCatalog(providers.List()...)
	ready := make(chan net.Addr, 1)
	d, err := daemon.New(t.Context(), daemon.Options{
		Load: func(ctx context.Context) (*config.File, error) { return catalog.Load(ctx, s.file()) }, DB: db,
		Listen: s.address, Version: "test", Log: slog.New(slog.DiscardHandler),
		Ready: func(a net.Addr) { ready <- a }, WatchEvery: 50 * time.Millisecond, SurveyEvery: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.ended = make(chan error, 1)
	go func() {
		err := d.Run(ctx)
		s.ended <- errors.Join(err, db.Close())
	}()
	select {
	case a := <-ready:
		s.address = a.String()
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("the server didn't start: %v", err)
	}
}

// Stop stops the server. Its store and its address stay for the next Start.
func (s *Server) Stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.cancel = nil
	if err := <-s.ended; err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
}
