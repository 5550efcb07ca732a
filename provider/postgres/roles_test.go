package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestASingleRoleRotatesAndItsOldPasswordDies(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	name := role(t, s)
	i := must(c.Password(PasswordConfig{Role: name}))
	first := rotate(t, i)
	want := map[string]string{"username": name, "host": "127.0.0.1", "dbname": "postgres"}
	for field, value := range want {
		if first.Field(field) != value {
			t.Errorf("field %s is %q, want %q", field, first.Field(field), value)
		}
	}
	open := session(t, first, "shop")
	second := rotate(t, i)
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassWait, rota.ErrRefused, "postgres app-db", name)
	if err := open.Ping(t.Context()); err != nil {
		t.Errorf("the open session died: %v", err)
	}
	if err := i.Test(t.Context(), rota.TestRequest{Credential: second}); err != nil {
		t.Error(err)
	}
	wantError(t, i.Delete(t.Context(), rota.RetireRequest{CredentialID: name}), rota.ClassStop, rota.ErrConflict, name)
}

func TestHostileRoleNamesAreQuoted(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	for _, name := range []string{`we"ird role; --`, `o'clock`, `back\slash`, `"; DROP ROLE x; --`, "ünï", "Upper Case", "$1", "a'; SELECT 1; --", strings.Repeat("x", 63), "current_user"} {
		t.Run(name, func(t *testing.T) {
			group := `g"'\ ` + unique("")
			createRole(t, s, name, "NOLOGIN")
			s.Exec(t, "CREATE ROLE "+quote(group)+" NOLOGIN", "GRANT "+quote(group)+" TO "+quote(name))
			t.Cleanup(func() { s.Exec(t, "DROP ROLE "+quote(name)) })
			i := must(c.Password(PasswordConfig{Role: name}))
			made := rotate(t, i)
			if use, err := i.(rota.UseReporter).LastUsed(t.Context(), name); err != nil || use.Evidence != rota.EvidenceSampled {
				t.Errorf("use is %+v, %v", use, err)
			}
			for _, f := range i.(rota.Preflighter).Preflight(t.Context()) {
				if !f.OK {
					t.Errorf("preflight: %+v", f)
				}
			}
			a := must(c.Alternating(AlternatingConfig{Roles: [2]string{name, role(t, s)}, Group: group}))
			if err := a.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
				t.Error(err)
			}
			retire := rota.RetireRequest{CredentialID: name}
			d := a.(rota.Deactivator)
			if err := errors.Join(d.Deactivate(t.Context(), retire), d.Reactivate(t.Context(), retire), d.Deactivate(t.Context(), retire), a.Delete(t.Context(), retire)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestQuotingIsUndoneByTheServer(t *testing.T) {
	c := superuser(t, shared.Get(t))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune(`'"\$;-E ab`+"\n\té")), 0, 20, -1).Draw(t, "text")
		got, err := ask(context.Background(), c, "echo", pgx.RowTo[string], "SELECT"+literal(text))
		if err != nil || got[0] != text {
			t.Fatalf("got %q, %v", got, err)
		}
	})
}

func TestRolesThatCannotBeRotatedAreRefusedBeforeAnythingHappens(t *testing.T) {
	c := connect(t, Config{Host: "127.0.0.1", Port: 1, Username: "rota"})
	for _, test := range []struct {
		name string
		make func() (rota.Issuer, error)
		want string
	}{
		{"no name", func() (rota.Issuer, error) { return c.Password(PasswordConfig{}) }, "empty"},
		{"a name that the server would cut off", func() (rota.Issuer, error) {
			return c.Password(PasswordConfig{Role: strings.Repeat("x", 64)})
		}, "at most 63"},
		{"a NUL", func() (rota.Issuer, error) { return c.Password(PasswordConfig{Role: "a\x00b"}) }, "NUL"},
		{"PUBLIC", func() (rota.Issuer, error) { return c.Password(PasswordConfig{Role: "public"}) }, "reserves that name"},
		{"a role of PostgreSQL's", func() (rota.Issuer, error) { return c.Password(PasswordConfig{Role: "pg_monitor"}) }, "reserves that name"},
		{"Rota's own role", func() (rota.Issuer, error) { return c.Password(PasswordConfig{Role: "rota"}) }, "lock itself out"},
		{"weak rules", func() (rota.Issuer, error) {
			return c.Password(PasswordConfig{Role: "app", Rules: rota.PasswordRules{Length: 8}})
		}, "bits"},
		{"the same role twice", func() (rota.Issuer, error) {
			return c.Alternating(AlternatingConfig{Roles: [2]string{"a", "a"}, Group: "g"})
		}, "named twice"},
		{"a role as its own group", func() (rota.Issuer, error) {
			return c.Alternating(AlternatingConfig{Roles: [2]string{"a", "b"}, Group: "b"})
		}, "its own group"},
		{"Rota's own role in a pair", func() (rota.Issuer, error) {
			return c.Alternating(AlternatingConfig{Roles: [2]string{"a", "rota"}, Group: "g"})
		}, "lock itself out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i, err := test.make()
			if err == nil || i != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "postgres app-db") {
				t.Errorf("got %v, %v, want an error with %q", i, err, test.want)
			}
		})
	}
}

func TestAPairAlternates(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	i := must(admin(t, s).Alternating(cfg))
	d := i.(rota.Deactivator)
	a := rotate(t, i)
	b := rotate(t, i, i.CredentialID(a))
	if i.CredentialID(a) != cfg.Roles[0] || i.CredentialID(b) != cfg.Roles[1] {
		t.Fatalf("roles %s and %s", i.CredentialID(a), i.CredentialID(b))
	}
	if err := i.Test(t.Context(), rota.TestRequest{Credential: a}); err != nil {
		t.Errorf("the first died when the second was set: %v", err)
	}
	_, err := i.Create(t.Context(), rota.CreateRequest{Taken: cfg.Roles[:]})
	wantError(t, err, rota.ClassStop, rota.ErrLimit)

	first := rota.RetireRequest{CredentialID: cfg.Roles[0]}
	wantError(t, i.Delete(t.Context(), first), rota.ClassStop, rota.ErrConflict, "active")
	if err := d.Deactivate(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: a}), rota.ClassWait, rota.ErrRefused)
	wantList(t, i, []rota.Issued{{ID: cfg.Roles[0]}, {ID: cfg.Roles[1], Active: true}})
	if err := i.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	wantList(t, i, []rota.Issued{{ID: cfg.Roles[1], Active: true}})
	wantError(t, d.Reactivate(t.Context(), first), rota.ClassStop, rota.ErrNotFound)
	wantError(t, d.Deactivate(t.Context(), first), rota.ClassStop, rota.ErrNotFound)
	third := rotate(t, i, cfg.Roles[1])
	if i.CredentialID(third) != cfg.Roles[0] {
		t.Errorf("the third is %s", i.CredentialID(third))
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: a}), rota.ClassWait, rota.ErrRefused)
}

func wantList(t *testing.T, i rota.Issuer, want []rota.Issued) {
	t.Helper()
	got, err := i.(rota.Lister).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byID := cmpopts.SortSlices(func(a, b rota.Issued) bool { return a.ID < b.ID })
	if diff := cmp.Diff(want, got, byID); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestTheListTellsWhatCanLogIn(t *testing.T) {
	s := shared.Get(t)
	low, high := admin(t, s), superuser(t, s)
	future := time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name         string
		alter        string // "" drops the role
		want, wantHi []rota.Issued
	}{
		{"a role that does not exist", "", nil, nil},
		{"a role that may not log in counts as locked if it is seen to have a password", "NOLOGIN PASSWORD 'x'", nil, []rota.Issued{{Unlock: "ALTER ROLE %s LOGIN"}}},
		{"a role that may not log in and has no password", "NOLOGIN PASSWORD NULL", nil, nil},
		{"a role without password counts unless it is seen to have none", "LOGIN PASSWORD NULL", []rota.Issued{{Active: true}}, nil},
		{"a role with a password", "LOGIN PASSWORD 'x'", []rota.Issued{{Active: true}}, []rota.Issued{{Active: true}}},
		{"a role that is valid for ever", "LOGIN PASSWORD 'x' VALID UNTIL 'infinity'", []rota.Issued{{Active: true}}, []rota.Issued{{Active: true}}},
		{"a role that is valid for a while", "LOGIN PASSWORD 'x' VALID UNTIL '2999-01-01 UTC'", []rota.Issued{{Active: true, ExpiresAt: future, EndsWithAccount: true}}, []rota.Issued{{Active: true, ExpiresAt: future, EndsWithAccount: true}}},
		{"a role whose time is over", "LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'", []rota.Issued{{}}, []rota.Issued{{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := role(t, s)
			if test.alter == "" {
				s.Exec(t, "DROP ROLE "+name)
			} else {
				s.Exec(t, "ALTER ROLE "+name+" "+test.alter)
			}
			for c, want := range map[*Connection][]rota.Issued{low: test.want, high: test.wantHi} {
				for i := range want {
					want[i].ID = name
					want[i].Unlock = strings.Replace(want[i].Unlock, "%s", quote(name), 1)
				}
				wantList(t, must(c.Password(PasswordConfig{Role: name})), want)
			}
		})
	}
}

func TestUseIsSampledFromOpenSessions(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	low, high := must(admin(t, s).Alternating(cfg)), must(superuser(t, s).Alternating(cfg))
	made := rotate(t, low)
	id := low.CredentialID(made)
	eventually(t, func() bool {
		use, err := low.(rota.UseReporter).LastUsed(t.Context(), id)
		return err == nil && use.Evidence == rota.EvidenceSampled && use.At.IsZero() && use.Detail == ""
	})
	session(t, made, "shop")
	session(t, made, "shop")
	before := time.Now()
	use, err := high.(rota.UseReporter).LastUsed(t.Context(), id)
	if err != nil || use.Evidence != rota.EvidenceSampled || use.At.Before(before.Add(-time.Second)) || use.Detail != "2 sessions from 127.0.0.1, application shop" {
		t.Errorf("use is %+v, %v", use, err)
	}
	// Without pg_read_all_stats the sessions are seen, but not their address.
	use, err = low.(rota.UseReporter).LastUsed(t.Context(), id)
	if err != nil || use.Evidence != rota.EvidenceSampled || use.At.IsZero() || use.Detail != "2 sessions, application shop" {
		t.Errorf("use is %+v, %v", use, err)
	}
	_, err = low.(rota.UseReporter).LastUsed(t.Context(), "somebody_else")
	wantError(t, err, rota.ClassStop, nil, "somebody_else")
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("still not so")
		case <-tick.C:
		}
	}
}

func TestRolesOfOthersAreNeverTouched(t *testing.T) {
	s := shared.Get(t)
	i := must(admin(t, s).Alternating(pair(t, s)))
	other := role(t, s)
	s.Exec(t, "ALTER ROLE "+other+" LOGIN PASSWORD 'theirs' VALID UNTIL '2001-01-01'")
	theirs := rota.NewCredential(map[string]string{"username": other, "password": "theirs"})
	retire := rota.RetireRequest{CredentialID: other}
	d := i.(rota.Deactivator)
	for op, err := range map[string]error{
		"set":        i.Set(t.Context(), rota.SetRequest{Credential: theirs}),
		"test":       i.Test(t.Context(), rota.TestRequest{Credential: theirs}),
		"delete":     i.Delete(t.Context(), retire),
		"deactivate": d.Deactivate(t.Context(), retire),
		"reactivate": d.Reactivate(t.Context(), retire),
	} {
		t.Run(op, func(t *testing.T) { wantError(t, err, rota.ClassStop, nil, other, "isn't one of this secret's") })
	}
	err := must(admin(t, s).Password(PasswordConfig{Role: role(t, s)})).Delete(t.Context(), retire)
	wantError(t, err, rota.ClassStop, rota.ErrConflict, other)
}

func TestTheSameRoleMayBeSetByManyAtOnce(t *testing.T) {
	s := shared.Get(t)
	i := must(admin(t, s).Password(PasswordConfig{Role: role(t, s)}))
	made := make([]rota.Credential, 16)
	errs := make([]error, len(made))
	var all sync.WaitGroup
	for n := range made {
		made[n] = must(i.Create(t.Context(), rota.CreateRequest{}))
		all.Go(func() { errs[n] = i.Set(t.Context(), rota.SetRequest{Credential: made[n]}) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	works := 0
	for _, c := range made {
		if i.Test(t.Context(), rota.TestRequest{Credential: c}) == nil {
			works++
		}
	}
	if works != 1 {
		t.Errorf("%d passwords work, want the last one only", works)
	}
}

func TestATestLooksForTheGroupsPrivileges(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	i := must(admin(t, s).Alternating(cfg))
	made := rotate(t, i)
	check := func() error { return i.Test(t.Context(), rota.TestRequest{Credential: made}) }
	name := cfg.Roles[0]

	inherits(t, s, cfg.Group, name, false)
	err := check()
	wantError(t, err, rota.ClassStop, nil, "has not the privileges of group "+cfg.Group, "GRANT")
	wantFinding(t, i, "role "+name+" has the privileges of group", false, "not a member")
	for _, role := range cfg.Roles {
		s.Exec(t, "ALTER ROLE "+role+" SET ROLE "+cfg.Group)
	}
	if err := check(); err != nil {
		t.Errorf("a session that begins as the group: %v", err)
	}
	wantFinding(t, i, "role "+name+" has the privileges of group", true, "")
	s.Exec(t, "ALTER ROLE "+name+" RESET ROLE", "ALTER ROLE "+cfg.Roles[1]+" RESET ROLE", rota.RemediesOf(err)[0].Text)
	if err := check(); err != nil {
		t.Errorf("after its remedy: %v", err)
	}
	s.Exec(t, "REVOKE "+cfg.Group+" FROM "+name)
	wantError(t, check(), rota.ClassStop, nil, "has not the privileges")
	s.Exec(t, "DROP ROLE "+cfg.Group)
	wantError(t, check(), rota.ClassStop, nil, "has not the privileges")
}

// A session can only begin as a role that the membership lets it become.
func TestADefaultRoleThatTheMembershipForbidsIsNotCounted(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	i := must(admin(t, s).Alternating(cfg))
	name := cfg.Roles[0]
	made := rotate(t, i)
	inherits(t, s, cfg.Group, name, false)
	s.Exec(t, "ALTER ROLE "+name+" SET ROLE "+cfg.Group)
	if needsAdminOption(t, s) {
		s.Exec(t, "GRANT "+cfg.Group+" TO "+name+" WITH SET FALSE")
	} else {
		s.Exec(t, "REVOKE "+cfg.Group+" FROM "+name)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "has not the privileges")
	wantFinding(t, i, "role "+name+" has the privileges of group", false, "not a member")
}

func TestATestNamesWhatTheOtherRoleMayDoAndThisOneMayNot(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	i := must(admin(t, s).Alternating(cfg))
	made := rotate(t, i)
	check := func() error { return i.Test(t.Context(), rota.TestRequest{Credential: made}) }
	one, other := cfg.Roles[0], cfg.Roles[1]
	table, sequence, owned := unique("orders"), unique("ids"), unique("owned")

	s.Exec(t, "CREATE TABLE "+table+" (id int)", "GRANT SELECT, INSERT ON "+table+" TO "+other, "GRANT SELECT ON "+table+" TO "+one)
	wantError(t, check(), rota.ClassStop, nil, "lacks what the other role has: INSERT on public."+table+" (try")
	s.Exec(t, "GRANT INSERT ON "+table+" TO "+cfg.Group)
	if err := check(); err != nil {
		t.Errorf("the right came by the group: %v", err)
	}
	s.Exec(t, "CREATE SEQUENCE "+sequence, "GRANT USAGE ON SEQUENCE "+sequence+" TO "+other)
	wantError(t, check(), rota.ClassStop, nil, "USAGE on public."+sequence)
	s.Exec(t, "DROP SEQUENCE "+sequence, "CREATE TABLE "+owned+" (id int)", "ALTER TABLE "+owned+" OWNER TO "+other)
	wantError(t, check(), rota.ClassStop, nil, "lacks what the other role has: ownership of table public."+owned)
	s.Exec(t, "ALTER TABLE "+owned+" OWNER TO "+cfg.Group)
	if err := check(); err != nil {
		t.Errorf("the group owns the table: %v", err)
	}
	second := rotate(t, i, one)
	if i.CredentialID(second) != other {
		t.Errorf("the second is %s", i.CredentialID(second))
	}
}

func TestATestNeedsTheDatabase(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	name, database := role(t, s), unique("db")
	s.Exec(t, "CREATE DATABASE "+database, "REVOKE CONNECT ON DATABASE "+database+" FROM PUBLIC", "GRANT CONNECT ON DATABASE "+database+" TO "+c.cfg.Username)
	private := connect(t, Config{Host: s.Host, Port: s.Port, Username: c.cfg.Username, Password: adminPassword, Database: database})
	i := must(private.Password(PasswordConfig{Role: name}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "GRANT CONNECT")
	s.Exec(t, "GRANT CONNECT ON DATABASE "+database+" TO "+name)
	if err := i.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Error(err)
	}
}

func TestAServerThatAsksForNoPasswordProvesNothing(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{HBA: []string{"host all trusted 127.0.0.1/32 trust", "host all rejected 127.0.0.1/32 reject"}})
	createRole(t, s, "trusted", "LOGIN")
	createRole(t, s, "rejected", "LOGIN")
	c := admin(t, s)
	i := must(c.Password(PasswordConfig{Role: "trusted"}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "proves nothing", "pg_hba.conf")
	wantFinding(t, i, "asks role trusted for its password", false, "it accepts any password")
	rejected := must(c.Password(PasswordConfig{Role: "rejected"}))
	wantFinding(t, rejected, "asks role rejected", false, "pg_hba.conf rejects")
	err := rejected.Test(t.Context(), rota.TestRequest{Credential: must(rejected.Create(t.Context(), rota.CreateRequest{}))})
	wantError(t, err, rota.ClassStop, nil, "pg_hba.conf")
	if errors.Is(err, rota.ErrRefused) {
		t.Errorf("nobody looked at the password, but it counts as refused: %v", err)
	}
}

func TestACheckRunsWithTheNewLoginAndCanOnlyRead(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	name, table := role(t, s), unique("orders")
	s.Exec(t, "CREATE TABLE "+table+" (id int)", "GRANT SELECT, INSERT ON "+table+" TO "+name)
	i := must(c.Password(PasswordConfig{Role: name}))
	made := rotate(t, i)
	check := func(sql string, with rota.Credential) error {
		q := c.Query("orders", sql)
		if q.Name() != "orders" {
			t.Errorf("its name is %q", q.Name())
		}
		return q.Check(t.Context(), with)
	}
	if err := check("SELECT count(*) FROM "+table, made); err != nil {
		t.Error(err)
	}
	if err := check("SELECT 1 WHERE session_user = '"+name+"' AND 1 / (CASE WHEN session_user = '"+name+"' THEN 1 ELSE 0 END) = 1", made); err != nil {
		t.Errorf("it runs as somebody else: %v", err)
	}
	wantError(t, check("INSERT INTO "+table+" VALUES (1)", made), rota.ClassWait, nil, "read-only", "try: a statement that only reads")
	wantError(t, check("SELECT 1; SELECT 2", made), rota.ClassStop, nil, "multiple commands")
	wantError(t, check("SELEC", made), rota.ClassStop, nil, "check orders", "syntax error")
	wantError(t, check("SELECT * FROM pg_authid", made), rota.ClassStop, nil, "permission denied")
	wantError(t, check("SELECT 1/0", made), rota.ClassStop, nil, "division by zero")
	wantError(t, check("SELECT 1", testenv.With(made, "password", "wrong")), rota.ClassWait, rota.ErrRefused)
	ctx := testenv.Soon(t, 300*time.Millisecond)
	wantError(t, c.Query("slow", "SELECT pg_sleep(60)").Check(ctx, made), rota.ClassWait, nil, "try: use a statement that's quicker")
}

func TestFunctionsThatOthersMadeAreNotCalled(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{})
	c := admin(t, s)
	cfg := pair(t, s)
	s.Exec(t, "GRANT CREATE ON SCHEMA public TO "+cfg.Roles[0],
		"CREATE FUNCTION public.hashtextextended(text, int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'somebody else''s function'; END $$",
		"CREATE FUNCTION public.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
		"ALTER ROLE "+cfg.Roles[0]+" SET search_path = public, pg_catalog", "ALTER ROLE "+cfg.Roles[1]+" SET search_path = public, pg_catalog",
		"ALTER ROLE "+quote(c.cfg.Username)+" SET search_path = public, pg_catalog")
	i := must(c.Alternating(cfg))
	made := rotate(t, i)
	d := i.(rota.Deactivator)
	if err := d.Deactivate(t.Context(), rota.RetireRequest{CredentialID: i.CredentialID(made)}); err != nil {
		t.Error(err)
	}
}
