package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// calls is every call of an issuer that asks a server.
func calls(i rota.Issuer, made rota.Credential) map[string]func(context.Context) error {
	id := rota.RetireRequest{CredentialID: i.CredentialID(made)}
	all := map[string]func(context.Context) error{
		"set":  func(ctx context.Context) error { return i.Set(ctx, rota.SetRequest{Credential: made}) },
		"test": func(ctx context.Context) error { return i.Test(ctx, rota.TestRequest{Credential: made}) },
		"list": func(ctx context.Context) error { _, err := i.(rota.Lister).List(ctx); return err },
		"last used": func(ctx context.Context) error {
			_, err := i.(rota.UseReporter).LastUsed(ctx, id.CredentialID)
			return err
		},
	}
	if d, ok := i.(rota.Deactivator); ok {
		all["deactivate"] = func(ctx context.Context) error { return d.Deactivate(ctx, id) }
		all["reactivate"] = func(ctx context.Context) error { return d.Reactivate(ctx, id) }
		all["delete"] = func(ctx context.Context) error { return i.Delete(ctx, id) }
	}
	return all
}

// offline is an issuer whose server is not there, and a credential of it.
func offline(t *testing.T, cfg Config) (rota.Issuer, rota.Credential) {
	t.Helper()
	i := must(connect(t, cfg).Alternating(AlternatingConfig{Roles: [2]string{"app_a", "app_b"}, Group: "app"}))
	return i, must(i.Create(t.Context(), rota.CreateRequest{}))
}

// wantGivenUp checks that each call ends with its deadline, waits are not
// taken for answers, and the preflight says so too.
func wantGivenUp(t *testing.T, i rota.Issuer, made rota.Credential) {
	t.Helper()
	for op, call := range calls(i, made) {
		begun := time.Now()
		err := call(testenv.Soon(t, 300*time.Millisecond))
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%s took %s, ten times its deadline", op, took)
		}
		wantError(t, err, rota.ClassWait, nil, "postgres app-db")
		if errors.Is(err, rota.ErrRefused) || errors.Is(err, rota.ErrNotFound) || errors.Is(err, rota.ErrConflict) {
			t.Errorf("%s takes silence for an answer: %v", op, err)
		}
	}
	found := i.(rota.Preflighter).Preflight(testenv.Soon(t, 300*time.Millisecond))
	if len(found) == 0 || found[0].OK || found[0].Detail == "" {
		t.Errorf("preflight of a server that does not answer: %+v", found)
	}
}

func TestAServerThatIsDownIsWaitedFor(t *testing.T) {
	i, made := offline(t, Config{Host: "127.0.0.1", Port: testenv.FreePort(t), Username: "rota", Password: adminPassword})
	for op, call := range calls(i, made) {
		t.Run(op, func(t *testing.T) {
			wantError(t, call(t.Context()), rota.ClassWait, nil, "postgres app-db", "connection refused")
		})
	}
}

func TestAHostThatNeverAnswersIsGivenUpInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections, and nobody reads them
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	i, made := offline(t, Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Username: "rota", Password: adminPassword})
	wantGivenUp(t, i, made)
}

func TestAServerThatHangsIsGivenUpInTimeAndUsedAgainAfterwards(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{})
	c := connect(t, Config{Host: s.Host, Port: s.Port, Username: s.Superuser(), ConnectTimeout: time.Second})
	i := must(c.Alternating(pair(t, s)))
	made := rotate(t, i)
	s.Pause(t)
	wantGivenUp(t, i, made)
	s.Resume()
	eventually(t, func() bool {
		return i.Set(t.Context(), rota.SetRequest{Credential: made}) == nil && i.Test(t.Context(), rota.TestRequest{Credential: made}) == nil
	})
}

func TestASessionThatHoldsTheRoleIsGivenUpInTime(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	i := must(admin(t, s).Password(PasswordConfig{Role: name}))
	made := rotate(t, i)
	holder := session(t, made, "holder")
	if _, err := holder.Exec(t.Context(), "BEGIN; ALTER ROLE "+name+" PASSWORD '"+must(verifier("by-itself"))+"'"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	err := i.Set(testenv.Soon(t, 500*time.Millisecond), rota.SetRequest{Credential: made})
	wantError(t, err, rota.ClassWait, nil, name)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := holder.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestARestartInBetweenIsNotNoticed(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{})
	i := must(admin(t, s).Alternating(pair(t, s)))
	made := rotate(t, i)
	for _, op := range []string{"list", "set", "last used", "test", "deactivate", "reactivate", "deactivate", "delete"} {
		s.Restart(t) // the sessions of the pool are dead now
		if err := calls(i, made)[op](t.Context()); err != nil {
			t.Errorf("%s after a restart: %v", op, err)
		}
	}
}

func TestWhatIsWrongWithTheConnectionIsSaid(t *testing.T) {
	s := shared.Get(t)
	good := admin(t, s).cfg
	change := func(do func(*Config)) Config {
		cfg := good
		do(&cfg)
		return cfg
	}
	name := role(t, s)
	for _, test := range []struct {
		name  string
		cfg   Config
		class rota.Class
		words []string
	}{
		{"a wrong password", change(func(c *Config) { c.Password = "wrong-" + adminPassword }), rota.ClassStop, []string{"password authentication failed", "try: "}},
		{"no such role", change(func(c *Config) { c.Username = "nobody_here" }), rota.ClassStop, []string{"nobody_here", "try: "}},
		{"no such database", change(func(c *Config) { c.Database = "no_such_db" }), rota.ClassStop, []string{"no_such_db", "try: "}},
		{"TLS where the server has none", change(func(c *Config) { c.SSLMode = "require" }), rota.ClassWait, []string{"TLS", "try: turn on TLS at the server"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := must(connect(t, test.cfg).Password(PasswordConfig{Role: name}))
			made := must(i.Create(t.Context(), rota.CreateRequest{}))
			err := i.Set(t.Context(), rota.SetRequest{Credential: made})
			wantError(t, err, test.class, nil, append(test.words, "postgres app-db")...)
			if errors.Is(err, rota.ErrRefused) {
				t.Errorf("Rota's own login is no credential under test: %v", err)
			}
		})
	}
}

func TestARoleThatIsMissingOrOutOfReachIsSaid(t *testing.T) {
	eachAdmin(t, func(t *testing.T, cfg Config, s *testenv.PostgresServer) {
		i := must(connect(t, cfg).Password(PasswordConfig{Role: "no_such_role"}))
		made := must(i.Create(t.Context(), rota.CreateRequest{}))
		err := i.Set(t.Context(), rota.SetRequest{Credential: made})
		wantError(t, err, rota.ClassStop, rota.ErrNotFound, "no_such_role", "try: ")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassWait, rota.ErrRefused, "no_such_role")
		if list, err := i.(rota.Lister).List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("the list of a role that is not there: %v, %v", list, err)
		}
	})
	t.Run("a superuser's password is not for CREATEROLE to set", func(t *testing.T) {
		s := shared.Get(t)
		name := role(t, s)
		s.Exec(t, "ALTER ROLE "+name+" SUPERUSER")
		i := must(admin(t, s).Password(PasswordConfig{Role: name}))
		wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))}), rota.ClassStop, nil, name, "logs in as another superuser, or ALTER ROLE", "NOSUPERUSER")
	})
	t.Run("nor may the first superuser stop being one", func(t *testing.T) {
		s := shared.Get(t)
		i := must(admin(t, s).Password(PasswordConfig{Role: s.Superuser()}))
		err := i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))})
		wantError(t, err, rota.ClassStop, nil, s.Superuser(), "try: use a connection that logs in as another superuser")
		if strings.Contains(hint.Text(err), "NOSUPERUSER") {
			t.Errorf("following it would leave the server without a superuser: %s", hint.Text(err))
		}
	})
	t.Run("a login without CREATEROLE", func(t *testing.T) {
		s := shared.Get(t)
		weak, name := role(t, s), role(t, s)
		s.Exec(t, "ALTER ROLE "+weak+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'")
		i := must(connect(t, Config{Host: s.Host, Port: s.Port, Username: weak, Password: adminPassword}).Password(PasswordConfig{Role: name}))
		err := i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))})
		wantError(t, err, rota.ClassStop, nil, name, `try: ALTER ROLE "`+weak+`" CREATEROLE`)
	})
}

// Every error that there is, in every way of writing it.
func TestNoErrorHoldsAPassword(t *testing.T) {
	const canary = "Canary-Password-7Qx2"
	s := strict.Get(t)
	good := admin(t, s).cfg
	cfg := pair(t, s)
	issuer := func(c Config) (rota.Issuer, rota.Credential) {
		i := must(connect(t, c).Alternating(cfg))
		return i, testenv.With(must(i.Create(t.Context(), rota.CreateRequest{})), rota.FieldPassword, canary)
	}
	var errs []error
	see := func(err error) {
		if err == nil {
			t.Error("no error to look at")
		}
		errs = append(errs, err)
	}
	wrong, ofWrong := issuer(Config{Host: good.Host, Port: good.Port, Username: good.Username, Password: "Admin-" + canary})
	for _, call := range calls(wrong, ofWrong) {
		see(call(t.Context()))
	}
	down, ofDown := issuer(Config{Host: good.Host, Port: testenv.FreePort(t), Username: good.Username, Password: canary})
	for _, call := range calls(down, ofDown) {
		see(call(t.Context()))
	}
	right, c := issuer(good)
	see(right.Test(t.Context(), rota.TestRequest{Credential: c}))
	see(right.Set(testenv.Soon(t, -time.Second), rota.SetRequest{Credential: c}))
	faulty, p := through(t, s, good)
	i := must(faulty.Alternating(cfg))
	for _, kind := range []providertest.FaultKind{providertest.FailBefore, providertest.Hang} {
		for _, call := range calls(i, c) {
			p.inject("set", kind)
			see(call(testenv.Soon(t, 200*time.Millisecond)))
			p.inject("set", "")
		}
	}
	// The role's name is the password of this one: passwordcheck rejects it.
	createRole(t, s, canary, "NOLOGIN")
	named := must(connect(t, good).Password(PasswordConfig{Role: canary}))
	rejected := named.Set(t.Context(), rota.SetRequest{Credential: testenv.With(c, rota.FieldUsername, canary)})
	if rota.ClassOf(rejected) != rota.ClassRegenerate {
		t.Errorf("not rejected: %v", rejected)
	}
	rotateOK := must(connect(t, good).Password(PasswordConfig{Role: role(t, s)}))
	made := rotate(t, rotateOK)
	fields := testenv.With(made, rota.FieldPassword, canary)
	see(connect(t, good).Query("q", "SELECT 1").Check(t.Context(), fields))
	_, err := New("app-db", Config{Host: "h", Username: "u", Password: canary, SSLMode: "verify-full", SSLRootCert: "/no/such/file"})
	see(err)
	_, err = New("app-db", Config{Host: "h", Username: "u", Password: canary, SSLMode: canary[:3]})
	see(err)
	for _, err := range errs {
		for e := err; e != nil; e = errors.Unwrap(e) {
			asJSON, _ := json.Marshal(e)
			for _, text := range []string{e.Error(), fmt.Sprintf("%v %+v %#v %q", e, e, e, e), string(asJSON)} {
				if strings.Contains(text, canary) {
					t.Errorf("an error holds the password: %s", strings.ReplaceAll(text, canary, "***"))
				}
			}
		}
	}
	if len(errs) < 30 {
		t.Errorf("only %d errors were looked at", len(errs))
	}
}
