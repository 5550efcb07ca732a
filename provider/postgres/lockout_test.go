package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// rotating is a secret of a single role on a real server, with everything else
// in memory.
type rotating struct {
	*rotation.Rotator
	secret *rotation.Secret
	store  *memory.Store
	target *memory.Target
}

func newRotating(c *Connection, role string) *rotating {
	r := &rotating{store: memory.NewStore(memory.Options{}), target: memory.NewTarget("app", memory.Options{})}
	r.secret = &rotation.Secret{
		Name: "db/" + role, Issuer: must(c.Password(PasswordConfig{Role: role})), Store: r.store,
		Targets: []rota.Target{r.target}, Policy: rotation.Policy{TestWithin: 2 * time.Second},
	}
	r.Rotator = &rotation.Rotator{Journal: memory.NewJournal(memory.Options{})}
	return r
}

// steps does what is due, or what's asked for, and returns it with what it says.
func (r *rotating) steps(t *testing.T, asked rota.Step) (steps, says string) {
	t.Helper()
	res, err := r.Advance(t.Context(), r.secret, rotation.Options{Force: asked})
	var all []string
	for _, d := range res.Done {
		all = append(all, string(d.Step))
	}
	says = string(res.Last.Hold) + ": " + res.Last.Reason
	if err != nil {
		says = err.Error()
	}
	return strings.Join(all, " "), says
}

// verifierOf is the role's verifier, "" for none.
func verifierOf(t *testing.T, s *testenv.PostgresServer, role string) string {
	t.Helper()
	return must(ask(t.Context(), superuser(t, s), "read", pgx.RowTo[string], "SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = $1", role))[0]
}

// wantAlone checks that nothing was set, and that the role's password is the
// same.
func wantAlone(t *testing.T, s *testenv.PostgresServer, role, before, steps, says, want string) {
	t.Helper()
	if strings.Contains(steps, "set") || !strings.Contains(says, want) {
		t.Errorf("it did %q and says %q, want %q", steps, says, want)
	}
	if verifierOf(t, s, role) != before {
		t.Error("the password was replaced")
	}
}

// by is a connection that may read pg_authid, and one that may not.
var by = map[string]func(testing.TB, *testenv.PostgresServer) *Connection{"superuser": superuser, "CREATEROLE": admin}

const wholeRotation = "create set test promote deliver"

// trusting is a server that trusts and rejects the members of two groups. An
// admin with ADMIN OPTION on a role counts as a member of that role's groups.
func trusting(t *testing.T) *testenv.PostgresServer {
	t.Helper()
	s := testenv.Postgres(t, testenv.PostgresOptions{HBA: []string{"host all +admins all scram-sha-256", "host all +trusted all trust", "host all +rejected all reject"}})
	s.Exec(t, "CREATE ROLE trusted NOLOGIN", "CREATE ROLE rejected NOLOGIN")
	return s
}

func TestAPasswordIsNotReplacedByOneThatCannotBeTested(t *testing.T) {
	s := trusting(t)
	for _, method := range []string{"trusted", "rejected"} {
		for _, known := range []bool{false, true} {
			for who, connect := range by {
				t.Run(method+", by "+who+map[bool]string{true: ", the password known", false: ", the password unknown"}[known], func(t *testing.T) {
					name := role(t, s)
					s.Exec(t, "ALTER ROLE "+name+" LOGIN PASSWORD 'of-the-dba'")
					r := newRotating(connect(t, s), name)
					if known {
						if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
							t.Fatalf("it did %q: %s", done, says)
						}
					}
					before := verifierOf(t, s, name)
					s.Exec(t, "GRANT "+method+" TO "+name)
					done, says := r.steps(t, rota.StepCreate)
					wantAlone(t, s, name, before, done, says, map[string]string{"trusted": "a login proves nothing", "rejected": "pg_hba.conf rejects"}[method])
					s.Exec(t, "REVOKE "+method+" FROM "+name)
					if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
						t.Errorf("once it can be tested, it did %q: %s", done, says)
					}
				})
			}
		}
	}
}

func TestARoleWhoseConnectionsAreUsedUpKeepsItsPassword(t *testing.T) {
	s := shared.Get(t)
	for who, connect := range by {
		t.Run("by "+who, func(t *testing.T) {
			name := role(t, s)
			r := newRotating(connect(t, s), name)
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Fatalf("it did %q: %s", done, says)
			}
			held, _ := r.target.Current()
			s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT 1")
			app := session(t, held.Credential, "app")
			before := verifierOf(t, s, name)
			done, says := r.steps(t, rota.StepCreate)
			wantAlone(t, s, name, before, done, says, "too many connections")
			if err := app.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool {
				done, _ = r.steps(t, rota.StepCreate)
				return done == wholeRotation
			})
		})
	}
}

// Whatever is in the way comes up just after the new password was set.
func TestAPasswordThatCannotBeTestedAnyMoreDoesNotLockOut(t *testing.T) {
	s := trusting(t)
	full := func(t *testing.T, name string) func() {
		s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT 1")
		return func() { s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT -1") }
	}
	becomes := func(method string) func(*testing.T, string) func() {
		return func(t *testing.T, name string) func() {
			s.Exec(t, "GRANT "+method+" TO "+name)
			return func() { s.Exec(t, "REVOKE "+method+" FROM "+name) }
		}
	}
	for _, test := range []struct {
		name, by, want string
		happens        func(t *testing.T, role string) func()
	}{
		{"its connections are used up", "CREATEROLE", "create set set delete", full},
		{"its connections are used up, and the verifier is seen", "superuser", wholeRotation, full},
		{"the server trusts it", "CREATEROLE", "create set set delete", becomes("trusted")},
		{"the server trusts it, and the verifier is seen", "superuser", "create set set delete", becomes("trusted")},
		{"the server rejects it", "CREATEROLE", "create set set delete", becomes("rejected")},
		{"the server rejects it, and the verifier is seen", "superuser", "create set set delete", becomes("rejected")},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := role(t, s)
			r := newRotating(by[test.by](t, s), name)
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Fatalf("it did %q: %s", done, says)
			}
			held, _ := r.target.Current()
			session(t, held.Credential, "app")
			var over func()
			r.Report = func(report rotation.Report) {
				if report.Done && report.Decision.Step == rota.StepSet && over == nil {
					over = test.happens(t, name)
				}
			}
			began := time.Now()
			done, says := r.steps(t, rota.StepCreate)
			if done != test.want {
				t.Errorf("it did %q, want %q: %s", done, test.want, says)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			over()
			now, _ := r.target.Current()
			session(t, now.Credential, "app") // what the consumers hold logs in
		})
	}
}

// Nobody adopted the DBA's password, which was set after the first run failed.
func TestARoleThatSomeoneCreatedMeanwhileIsNotTakenOver(t *testing.T) {
	s := shared.Get(t)
	for who, connect := range by {
		t.Run("by "+who, func(t *testing.T) {
			name := unique("later")
			r := newRotating(connect(t, s), name)
			if done, says := r.steps(t, rota.StepNone); done != "" || !strings.Contains(says, "does not exist") {
				t.Fatalf("without the role it did %q: %s", done, says)
			}
			createRole(t, s, name, "LOGIN PASSWORD 'of-the-dba'")
			before := verifierOf(t, s, name)
			r.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // when it would be tried again
			done, says := r.steps(t, rota.StepNone)
			wantAlone(t, s, name, before, done, says, "may have one that someone uses")
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Errorf("asked by a person, it did %q: %s", done, says)
			}
		})
	}
}

func TestAGroupIsNotTurnedIntoALoginRole(t *testing.T) {
	s := shared.Get(t)
	for what, statement := range map[string]string{
		"with a member":     "GRANT %[1]s TO %[2]s",
		"that owns a table": "CREATE TABLE %[2]s_t (); ALTER TABLE %[2]s_t OWNER TO %[1]s",
	} {
		t.Run(what, func(t *testing.T) {
			group, member := role(t, s), role(t, s)
			s.Exec(t, fmt.Sprintf(statement, group, member))
			r := newRotating(admin(t, s), group)
			if f := wantFinding(t, r.secret.Issuer, "is a login role", false, "it can't log in, has"); !f.Warning {
				t.Errorf("it is no warning: %+v", f)
			}
			done, says := r.steps(t, rota.StepNone)
			wantAlone(t, s, group, "", done, says, "may have one that someone uses")
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Errorf("asked by a person, it did %q: %s", done, says)
			}
			wantFinding(t, r.secret.Issuer, "is a login role", true, "")
		})
	}
	t.Run("Rota itself is no member of a group", func(t *testing.T) {
		by, name := admin(t, s), role(t, s)
		s.Exec(t, "GRANT "+name+" TO "+by.cfg.Username+" WITH ADMIN OPTION")
		wantFinding(t, must(by.Password(PasswordConfig{Role: name})), "is a login role", true, "")
	})
	t.Run("a role's creator is no member of a group", func(t *testing.T) {
		by := admin(t, s)
		name := unique("app")
		s.Exec(t, "SET ROLE "+quote(by.cfg.Username)+"; "+map[bool]string{true: "SET createrole_self_grant = 'set, inherit'; "}[needsAdminOption(t, s)]+
			"CREATE ROLE "+name)
		r := newRotating(by, name)
		wantFinding(t, r.secret.Issuer, "is a login role", true, "")
		if done, says := r.steps(t, rota.StepNone); done != wholeRotation {
			t.Errorf("it did %q: %s", done, says)
		}
	})
	t.Run("a role that nothing depends on gets its first password", func(t *testing.T) {
		r := newRotating(admin(t, s), role(t, s))
		wantFinding(t, r.secret.Issuer, "is a login role", true, "")
		if done, says := r.steps(t, rota.StepNone); done != wholeRotation {
			t.Errorf("it did %q: %s", done, says)
		}
	})
}

// Nobody knows the password in force, so what keeps a new one from being tested
// can't be seen by logging in with it.
func TestAnUnknownPasswordIsNotReplacedWhileCheckFails(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{HBA: []string{"host all +admins all scram-sha-256", "host all +elsewhere all ident"}})
	s.Exec(t, "CREATE ROLE elsewhere NOLOGIN", "CREATE DATABASE closed", "REVOKE CONNECT ON DATABASE closed FROM public")
	for _, test := range []struct {
		name, want string
		prepare    func(t *testing.T, c *Connection, r *rotating, role string)
	}{
		{"it may not connect", "it doesn't have CONNECT", func(t *testing.T, c *Connection, r *rotating, role string) {
			s.Exec(t, "GRANT CONNECT ON DATABASE closed TO "+c.cfg.Username)
			cfg := c.cfg
			cfg.Database = "closed"
			r.secret.Issuer = must(connect(t, cfg).Password(PasswordConfig{Role: role}))
		}},
		{"its connections are used up", "CONNECTION LIMIT", func(t *testing.T, c *Connection, _ *rotating, role string) {
			s.Exec(t, "ALTER ROLE "+role+" CONNECTION LIMIT 1")
			session(t, rota.NewCredential(map[string]string{FieldHost: c.cfg.Host, FieldPort: fmt.Sprint(c.cfg.Port), FieldDatabase: c.cfg.Database,
				rota.FieldUsername: role, rota.FieldPassword: "of-the-dba"}), "app")
		}},
		{"it may never connect", "CONNECTION LIMIT is 0", func(t *testing.T, _ *Connection, _ *rotating, role string) {
			s.Exec(t, "ALTER ROLE "+role+" CONNECTION LIMIT 0")
		}},
		{"the test is wrong", "syntax error", func(_ *testing.T, c *Connection, r *rotating, _ string) {
			r.secret.Checks = []rota.Check{c.Query("query", "SELEC 1")}
		}},
		{"the server asks somebody else", "Ident authentication failed", func(t *testing.T, _ *Connection, _ *rotating, role string) {
			s.Exec(t, "GRANT elsewhere TO "+role)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := role(t, s)
			s.Exec(t, "ALTER ROLE "+name+" LOGIN PASSWORD 'of-the-dba'")
			c := admin(t, s)
			r := newRotating(c, name)
			test.prepare(t, c, r, name)
			before := verifierOf(t, s, name)
			done, says := r.steps(t, rota.StepCreate)
			wantAlone(t, s, name, before, done, says, test.want)
			if done != "" {
				t.Errorf("it did %q", done)
			}
		})
	}
}

// Somebody names another role in rota.yaml. The store's credential says nothing
// about that one.
func TestAnotherRoleInTheConfigurationIsTakenOverOnRequest(t *testing.T) {
	s := shared.Get(t)
	for who, connect := range by {
		t.Run("by "+who, func(t *testing.T) {
			before, after := role(t, s), role(t, s)
			s.Exec(t, "ALTER ROLE "+after+" LOGIN PASSWORD 'of-the-dba'")
			c := connect(t, s)
			r := newRotating(c, before)
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Fatalf("it did %q: %s", done, says)
			}
			r.secret.Issuer = must(c.Password(PasswordConfig{Role: after}))
			if done, says := r.steps(t, rota.StepNone); done != "" || !strings.Contains(says, before) {
				t.Errorf("unasked it did %q: %s", done, says)
			}
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Errorf("asked it did %q: %s", done, says)
			}
		})
	}
}
