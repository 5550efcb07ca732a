package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// viaPooler is a connection to the server that goes through a pooler, with the login
// of another.
func viaPooler(t *testing.T, b *testenv.PgBouncer, direct *Connection) *Connection {
	t.Helper()
	return connect(t, Config{Host: b.Host, Port: b.Port, Username: direct.cfg.Username, Password: adminPassword})
}

var poolModes = []string{"session", "transaction"}

// consumer logs in through the pooler, as an application does, and stays.
func consumer(t *testing.T, c rota.Credential) *pgx.Conn {
	t.Helper()
	conn := session(t, c, "shop")
	var who string
	if err := conn.QueryRow(t.Context(), "SELECT current_user", pgx.QueryExecModeSimpleProtocol).Scan(&who); err != nil || who != c.Field(rota.FieldUsername) {
		t.Fatalf("%s, %v", who, err)
	}
	return conn
}

func TestRotationThroughPgBouncerThatAsksTheServer(t *testing.T) {
	s := shared.Get(t)
	for _, mode := range poolModes {
		t.Run(mode, func(t *testing.T) {
			b := testenv.StartPgBouncer(t, testenv.PgBouncerOptions{Server: s, Mode: mode})
			i := must(viaPooler(t, b, admin(t, s)).Password(PasswordConfig{Role: role(t, s)}))
			first := rotate(t, i)
			consumer(t, first)
			for range 3 {
				second := rotate(t, i)
				wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassWait, rota.ErrRefused)
				consumer(t, second)
				first = second
			}
		})
	}
}

func TestAPairRotatesThroughPgBouncer(t *testing.T) {
	s := shared.Get(t)
	for _, mode := range poolModes {
		t.Run(mode, func(t *testing.T) {
			b := testenv.StartPgBouncer(t, testenv.PgBouncerOptions{Server: s, Mode: mode})
			i := must(viaPooler(t, b, admin(t, s)).Alternating(pair(t, s)))
			first := rotate(t, i)
			consumer(t, first)
			second := rotate(t, i, first.Field(rota.FieldUsername))
			consumer(t, second)
			consumer(t, first)
			if use := must(i.(rota.UseReporter).LastUsed(t.Context(), first.Field(rota.FieldUsername))); use.At.IsZero() {
				t.Errorf("a consumer is connected through the pooler, and nobody seems to use the role: %+v", use)
			}
		})
	}
}

// A password that someone set by hand is adopted through the pooler, and replaced.
func TestAdoptionThroughPgBouncerThatAsksTheServer(t *testing.T) {
	s := shared.Get(t)
	for _, mode := range poolModes {
		t.Run(mode, func(t *testing.T) {
			b := testenv.StartPgBouncer(t, testenv.PgBouncerOptions{Server: s, Mode: mode})
			name := unique("app")
			createRole(t, s, name, "LOGIN PASSWORD 'by-hand-canary-9'")
			i := must(viaPooler(t, b, admin(t, s)).Password(PasswordConfig{Role: name}))
			made := must(i.Create(t.Context(), rota.CreateRequest{}))
			adopted, wrong := testenv.With(made, rota.FieldPassword, "by-hand-canary-9"), testenv.With(made, rota.FieldPassword, "guess-canary-9")
			if err := i.Test(t.Context(), rota.TestRequest{Credential: adopted}); err != nil {
				t.Fatal(err)
			}
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: wrong}), rota.ClassWait, rota.ErrRefused)
			rotate(t, i)
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: adopted}), rota.ClassWait, rota.ErrRefused)
		})
	}
}

// A consumer that logged in before a rotation may need another connection to the
// server, which PgBouncer then opens with the old password. Until it tries again
// (server_login_retry), it answers no query of that role, though it lets the new
// password in. That isn't a refused password, and ends by itself.
func TestPgBouncerAnswersNoQueryForAWhileAfterAnOldPasswordFailed(t *testing.T) {
	s := shared.Get(t)
	b := testenv.StartPgBouncer(t, testenv.PgBouncerOptions{Server: s, Mode: "transaction", Settings: []string{"server_login_retry = 3"}})
	name := role(t, s)
	c := viaPooler(t, b, admin(t, s))
	i := must(c.Password(PasswordConfig{Role: name}))
	first := rotate(t, i)
	old := consumer(t, first)
	second := must(i.Create(t.Context(), rota.CreateRequest{}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: second}); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "+literal(name))
	eventually(t, func() bool { return strings.Contains(b.Log(t), "server conn crashed") }) // the pooler knows
	waits := make(chan error, 1)
	go func() {
		_, err := old.Exec(context.Background(), "SELECT 1", pgx.QueryExecModeSimpleProtocol)
		waits <- err
	}()
	eventually(t, func() bool { return strings.Contains(b.Log(t), "S: login failed") })
	if err := i.Test(t.Context(), rota.TestRequest{Credential: second}); err != nil {
		t.Errorf("the new password: %v", err)
	}
	query := c.Query("one", "SELECT 1")
	err := query.Check(t.Context(), second)
	wantError(t, err, rota.ClassWait, nil, "server_login_retry")
	if errors.Is(err, rota.ErrRefused) {
		t.Errorf("it's taken for a refused password: %v", err)
	}
	eventually(t, func() bool { return query.Check(t.Context(), second) == nil })
	<-waits
}

// With a list of passwords, PgBouncer goes on asking for the old one after a
// rotation: no new one passes its test, and the old one seems to work as long as
// a connection to the server is left that was opened with it.
func TestPgBouncerWithAListOfPasswordsHoldsOnToTheOldOne(t *testing.T) {
	s := shared.Get(t)
	for _, mode := range poolModes {
		t.Run(mode, func(t *testing.T) {
			direct := admin(t, s)
			name := role(t, s)
			server := must(direct.Password(PasswordConfig{Role: name}))
			first := rotate(t, server)
			users := map[string]string{direct.cfg.Username: adminPassword, name: first.Field(rota.FieldPassword)}
			b := testenv.StartPgBouncer(t, testenv.PgBouncerOptions{Server: s, Mode: mode, Users: users, Settings: []string{"server_login_retry = 1"}})
			pooled := must(viaPooler(t, b, direct).Password(PasswordConfig{Role: name}))
			if err := pooled.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
				t.Fatal(err)
			}
			second := must(pooled.Create(t.Context(), rota.CreateRequest{}))
			if err := pooled.Set(t.Context(), rota.SetRequest{Credential: second}); err != nil {
				t.Fatal(err)
			}
			wantError(t, pooled.Test(t.Context(), rota.TestRequest{Credential: second}), rota.ClassWait, rota.ErrRefused)
			if err := pooled.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
				t.Errorf("the pooler doesn't let the old password in: %v", err)
			}

			// What the page recommends: Rota connects to the server itself, and a
			// reloader updates the list.
			if err := server.Test(t.Context(), rota.TestRequest{Credential: second}); err != nil {
				t.Error(err)
			}
			wantError(t, server.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassWait, rota.ErrRefused)
			users[name] = second.Field(rota.FieldPassword)
			b.Reload(t, users)
			eventually(t, func() bool { return pooled.Test(t.Context(), rota.TestRequest{Credential: second}) == nil })
			if err := pooled.Test(t.Context(), rota.TestRequest{Credential: first}); !errors.Is(err, rota.ErrRefused) {
				t.Errorf("after the reload, the old password: %v", err)
			}
		})
	}
}
