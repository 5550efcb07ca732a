package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// Whoever may connect can take any advisory lock.
func TestAnotherRolesAdvisoryLocksHoldNothingUp(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{})
	single, strangers := role(t, s), role(t, s)
	c := admin(t, s)
	cfg := pair(t, s)
	a := must(c.Alternating(cfg))
	stranger := session(t, rotate(t, must(c.Password(PasswordConfig{Role: strangers}))), "stranger")
	for _, name := range []string{single, cfg.Roles[0], cfg.Roles[1]} {
		if _, err := stranger.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('rota role ' || $1, 0))", name); err != nil {
			t.Fatal(err)
		}
	}
	made := rotate(t, must(c.Password(PasswordConfig{Role: single})))
	first := rotate(t, a)
	rotate(t, a, a.CredentialID(first))
	retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
	if err := errors.Join(a.(rota.Deactivator).Deactivate(t.Context(), retire), a.Delete(t.Context(), retire)); err != nil {
		t.Error(err)
	}
	rotate(t, must(Own("app-db", Config{Host: s.Host, Port: s.Port}, OwnConfig{Role: single,
		Known: func(context.Context) ([]rota.Credential, error) { return []rota.Credential{made}, nil }})))
}

// A deletion that has looked at a role keeps others from changing it until it's
// done: or it would delete a password that was set in between. A set that comes first
// finds the role deactivated, and leaves it so.
func TestADeletionAndASetOfTheSameRoleExcludeEachOther(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	a := must(c.Alternating(pair(t, s)))
	for range 10 {
		made := rotate(t, a)
		retire := rota.RetireRequest{CredentialID: a.CredentialID(made)}
		if err := a.(rota.Deactivator).Deactivate(t.Context(), retire); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		var deleted, set error
		both.Go(func() { deleted = a.Delete(t.Context(), retire) })
		both.Go(func() { set = a.Set(t.Context(), rota.SetRequest{Credential: made}) })
		both.Wait()
		if deleted != nil || set != nil && !strings.Contains(set.Error(), "was locked at the server") {
			t.Fatalf("set: %v; delete: %v", set, deleted)
		}
		if err := a.Test(t.Context(), rota.TestRequest{Credential: made}); (err == nil) != (set == nil) {
			t.Errorf("set: %v; and then a login: %v", set, err)
		}
	}
}

// pooler passes logins on, unless they bring settings that it doesn't know.
func pooler(t *testing.T, s *testenv.PostgresServer) (port int, refused *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	refused = new(atomic.Int32)
	pass := func(client net.Conn) {
		defer client.Close()
		b := pgproto3.NewBackend(client, client)
		m, err := b.ReceiveStartupMessage()
		startup, ok := m.(*pgproto3.StartupMessage)
		if err != nil || !ok {
			return
		}
		for name := range startup.Parameters {
			if !slices.Contains([]string{"user", "database", "application_name"}, name) {
				refused.Add(1)
				b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name})
				_ = b.Flush()
				return
			}
		}
		server, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
		if err != nil {
			return
		}
		defer server.Close()
		text, err := startup.Encode(nil)
		if err != nil {
			return
		}
		if _, err := server.Write(text); err != nil {
			return
		}
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go pass(client)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, refused
}

// Neither do versions before 14 know the setting, nor do poolers take it.
func TestASettingThatIsRefusedIsLeftOut(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	direct := admin(t, s)
	port, refused := pooler(t, s)
	cfg := Config{Host: s.Host, Port: port, Username: direct.cfg.Username, Password: adminPassword}
	made := rotate(t, must(connect(t, cfg).Password(PasswordConfig{Role: name})))
	if n := refused.Load(); n != 1 {
		t.Errorf("%d logins were refused, want the first only", n)
	}
	// A login with a rotated credential may be the first.
	if err := must(connect(t, cfg).Password(PasswordConfig{Role: name})).Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Error(err)
	}
}
