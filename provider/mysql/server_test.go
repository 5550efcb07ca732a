package mysql

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
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
		"in force": func(ctx context.Context) error { _, _, err := i.(rota.Teller).InForce(ctx, made); return err },
		"delete":   func(ctx context.Context) error { return i.Delete(ctx, id) },
	}
	if d, ok := i.(rota.Deactivator); ok {
		all["deactivate"] = func(ctx context.Context) error { return d.Deactivate(ctx, id) }
		all["reactivate"] = func(ctx context.Context) error { return d.Reactivate(ctx, id) }
	}
	return all
}

// offline is an issuer whose server isn't there, and a credential of it.
func offline(t *testing.T, port int) (rota.Issuer, rota.Credential) {
	t.Helper()
	c := connect(t, Config{Host: "127.0.0.1", Port: port, Username: "rota", Password: adminPassword, ConnectTimeout: time.Second})
	i := must(c.Alternating(AlternatingConfig{Users: [2]string{"app_a", "app_b"}}))
	return i, must(i.Create(t.Context(), rota.CreateRequest{}))
}

// wantGivenUp checks that each call ends with its deadline, and that waits aren't
// taken for answers.
func wantGivenUp(t *testing.T, i rota.Issuer, made rota.Credential) {
	t.Helper()
	for op, call := range calls(i, made) {
		begun := time.Now()
		err := call(testenv.Soon(t, 300*time.Millisecond))
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %s, far more than its deadline", op, took)
		}
		wantError(t, err, rota.ClassWait, nil, "mysql app-db")
		if errors.Is(err, rota.ErrNotFound) || errors.Is(err, rota.ErrConflict) {
			t.Errorf("%s takes silence for an answer: %v", op, err)
		}
	}
	found := i.(rota.Preflighter).Preflight(testenv.Soon(t, 300*time.Millisecond))
	if len(found) == 0 || found[0].OK || found[0].Detail == "" {
		t.Errorf("preflight of a server that doesn't answer: %+v", found)
	}
}

func TestAServerThatIsDownIsWaitedFor(t *testing.T) {
	i, made := offline(t, testenv.FreePort(t))
	for op, call := range calls(i, made) {
		t.Run(op, func(t *testing.T) {
			wantError(t, call(t.Context()), rota.ClassWait, nil, "mysql app-db", "connection refused", "check host and port of connection app-db")
		})
	}
}

func TestAHostThatNeverAnswersIsGivenUpInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections, and nobody reads them
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	i, made := offline(t, l.Addr().(*net.TCPAddr).Port)
	wantGivenUp(t, i, made)
}

func TestAServerThatHangsIsGivenUpInTimeAndUsedAgainAfterwards(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	c := admin(t, s)
	i := must(c.Alternating(pair(t, s)))
	made := rotate(t, i)
	s.Pause(t)
	wantGivenUp(t, i, made)
	s.Resume()
	if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := i.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestARestartInBetweenIsNotNoticed(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	i := must(admin(t, s).Alternating(pair(t, s)))
	made := rotate(t, i)
	for _, op := range []string{"list", "set", "last used", "test", "deactivate", "reactivate", "deactivate", "delete"} {
		s.Restart(t) // the sessions of the pool are dead now
		if err := calls(i, made)[op](t.Context()); err != nil {
			t.Errorf("%s after a restart: %v", op, err)
		}
	}
}

func TestALockIsGivenUpInTime(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	i := must(admin(t, s).Password(PasswordConfig{User: user(t, s, pluginNative)}))
	made := rotate(t, i)
	super := connect(t, Config{Host: s.Socket, Username: "root"})
	holder := must(super.db.Conn(t.Context()))
	defer func() { _ = holder.Close() }()
	if _, err := holder.ExecContext(t.Context(), "FLUSH TABLES WITH READ LOCK"); err != nil {
		t.Fatal(err)
	}
	next := must(i.Create(t.Context(), rota.CreateRequest{}))
	wantError(t, i.Set(testenv.Soon(t, 3*time.Second), rota.SetRequest{Credential: next}), rota.ClassWait, nil, "mysql app-db", "max_statement_time exceeded", "SHOW PROCESSLIST")
	if _, err := holder.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if err := i.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Errorf("what was given up was done nevertheless: %v", err)
	}
	if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestWhatIsWrongWithTheConnectionIsSaid(t *testing.T) {
	s := shared.Get(t)
	good := admin(t, s).cfg
	bare := unique("bare")
	s.Exec(t, "CREATE USER "+bare+" IDENTIFIED VIA mysql_native_password USING '"+must(stored(pluginNative, "", adminPassword))+"'", "GRANT SELECT ON mysql.global_priv TO "+bare)
	name := user(t, s, pluginNative)
	change := func(do func(*Config)) Config {
		cfg := good
		do(&cfg)
		return cfg
	}
	for _, test := range []struct {
		name  string
		cfg   Config
		words []string
	}{
		{"a wrong password", change(func(c *Config) { c.Password = "wrong-" + adminPassword }), []string{"Access denied", "try: check username and password of connection app-db"}},
		{"no such user", change(func(c *Config) { c.Username = "nobody_here" }), []string{"nobody_here", "try: "}},
		{"TLS where the server has none", change(func(c *Config) { c.SSLMode = sslVerifyIdentity }), []string{"TLS", "try: turn on TLS at the server"}},
		{"no CREATE USER", change(func(c *Config) { c.Username = bare }), []string{"try: run what rota policy mysql prints"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := must(connect(t, test.cfg).Password(PasswordConfig{User: name}))
			made := must(i.Create(t.Context(), rota.CreateRequest{}))
			wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: made}), rota.ClassStop, nil, append(test.words, "mysql app-db")...)
			ready := true
			for _, f := range i.(rota.Preflighter).Preflight(t.Context()) {
				ready = ready && (f.OK || f.Warning)
			}
			if ready {
				t.Error("rota check finds everything in order")
			}
		})
	}
}

func TestAReadOnlyServerIsWaitedFor(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	i := must(admin(t, s).Password(PasswordConfig{User: user(t, s, pluginNative)}))
	made := rotate(t, i)
	s.Exec(t, "SET GLOBAL read_only = 1")
	wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: made}), rota.ClassWait, nil, "read-only", "try: connect to the primary")
	wantFinding(t, i, "accepts account changes", false, "read-only")
}

func TestWithoutProcessNothingIsKnownAboutUse(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	i := must(c.Password(PasswordConfig{User: user(t, s, pluginNative)}))
	made := rotate(t, i)
	session(t, made)
	s.Exec(t, "REVOKE PROCESS ON *.* FROM "+c.cfg.Username)
	c = connect(t, c.cfg)
	i = must(c.Password(PasswordConfig{User: i.CredentialID(made)}))
	use, err := i.(rota.UseReporter).LastUsed(t.Context(), i.CredentialID(made))
	if err != nil || use.Evidence != rota.EvidenceUnknown || !strings.Contains(rota.Hint(use.Remedies), "GRANT PROCESS ON *.*") {
		t.Errorf("%+v, %v", use, err)
	}
	if f := wantFinding(t, i, "sees others' sessions", false, "PROCESS"); !f.Warning {
		t.Error("nothing fails because of it")
	}
}

// wantFinding looks for a finding by its check.
func wantFinding(t *testing.T, of any, check string, ok bool, detail string) rota.Finding {
	t.Helper()
	for _, f := range of.(rota.Preflighter).Preflight(t.Context()) {
		if strings.Contains(f.Check, check) {
			if f.OK != ok || !strings.Contains(f.Detail, detail) {
				t.Errorf("%+v, want it to be %t with %q", f, ok, detail)
			}
			if !f.OK && len(f.Remedies) == 0 {
				t.Errorf("no remedy: %+v", f)
			}
			return f
		}
	}
	t.Errorf("no finding about %q", check)
	return rota.Finding{}
}
