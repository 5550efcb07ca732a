package postgres

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func exists(t *testing.T, s *testenv.PostgresServer, role string) bool {
	t.Helper()
	return must(ask(t.Context(), superuser(t, s), "read", pgx.RowTo[bool], "SELECT count(*) > 0 FROM pg_roles WHERE rolname = $1", role))[0]
}

// What happens to a role of a pair depends on its state alone.
func TestWhatARetirementMeets(t *testing.T) {
	s := shared.Get(t)
	i := func(roles ...string) rota.Issuer {
		return must(superuser(t, s).Alternating(AlternatingConfig{Roles: [2]string(roles)}))
	}
	const locked = "somebody took its login away"
	for _, test := range []struct {
		name, options          string // "" if the role doesn't exist
		deactivate, reactivate error
		refusal                string // instead of an error known by its value
	}{
		{"it doesn't exist", "", rota.ErrNotFound, rota.ErrNotFound, ""},
		{"it logs in", "LOGIN PASSWORD 'x'", nil, nil, ""},
		{"its time is over", "LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'", nil, nil, ""},
		{"it has no password", "LOGIN PASSWORD NULL", rota.ErrNotFound, rota.ErrNotFound, ""},
		{"it may not log in and has no password", "NOLOGIN PASSWORD NULL", rota.ErrNotFound, rota.ErrNotFound, ""},
		{"somebody locked it", "NOLOGIN PASSWORD 'x'", nil, nil, locked},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, other := unique("retired"), role(t, s)
			if test.options != "" {
				createRole(t, s, name, test.options)
			}
			pair, retire := i(name, other), rota.RetireRequest{CredentialID: name}
			if err := pair.(rota.Deactivator).Deactivate(t.Context(), retire); !errors.Is(err, test.deactivate) {
				t.Errorf("deactivate: %v, want %v", err, test.deactivate)
			}
			err := pair.(rota.Deactivator).Reactivate(t.Context(), retire)
			if test.refusal != "" {
				wantError(t, err, rota.ClassStop, nil, "reactivate role "+name, test.refusal, "ALTER ROLE \""+name+"\" LOGIN, if it's meant to log in again")
				if got := validUntil(t, s, name); got != "1970-01-01" {
					t.Errorf("it's valid until %s, as if it had been reactivated", got)
				}
				return
			}
			if !errors.Is(err, test.reactivate) {
				t.Errorf("reactivate: %v, want %v", err, test.reactivate)
			}
			if test.options == "" {
				if err := pair.Delete(t.Context(), retire); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			if exists(t, s, name) != (test.options != "") {
				t.Error("a role came or went")
			}
		})
	}
}

// Only the clone is ever created, and only if rota.yaml asks for one.
func TestASetCreatesNothingButTheClone(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct {
		name    string
		clone   bool
		missing int
	}{
		{"the second of two roles", false, 1},
		{"the first of a pair with a clone", true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			roles := [2]string{role(t, s), role(t, s)}
			gone := roles[test.missing]
			s.Exec(t, "DROP ROLE "+gone)
			i := must(superuser(t, s).Alternating(AlternatingConfig{Roles: roles, Clone: test.clone}))
			made := must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{roles[1-test.missing]}}))
			err := i.Set(t.Context(), rota.SetRequest{Credential: made})
			wantError(t, err, rota.ClassStop, rota.ErrNotFound, "set password of role "+gone)
			if exists(t, s, gone) {
				t.Error("it was created")
			}
		})
	}
	t.Run("a clone that may not be created", func(t *testing.T) {
		first, weak := role(t, s), role(t, s)
		s.Exec(t, "ALTER ROLE "+weak+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'")
		c := connect(t, Config{Host: s.Host, Port: s.Port, Username: weak, Password: adminPassword})
		i := must(c.Alternating(AlternatingConfig{Roles: [2]string{first, first + "_clone"}, Clone: true}))
		err := i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{first}}))})
		wantError(t, err, rota.ClassStop, nil, "make role "+first+"_clone with the rights of "+first, "CREATEROLE")
	})
}

// A role that can't be read isn't one that doesn't exist: here Rota loses the right
// to look at passwords just after it was seen to have it.
func TestARoleThatCannotBeReadIsNotDecidedAbout(t *testing.T) {
	s := shared.Get(t)
	login := admin(t, s).cfg
	c, p := through(t, s, Config{Username: login.Username, Password: adminPassword})
	cfg := pair(t, s)
	s.Exec(t, "ALTER ROLE "+cfg.Roles[0]+" LOGIN PASSWORD 'x'")
	i := must(c.Alternating(cfg))
	retire := rota.RetireRequest{CredentialID: cfg.Roles[0]}
	p.watch(func(sent []byte) providertest.FaultKind {
		if bytes.Contains(sent, []byte("FROM pg_catalog.pg_authid WHERE")) {
			s.Exec(t, "REVOKE SELECT ON pg_authid FROM "+login.Username)
		}
		return ""
	})
	s.Exec(t, "GRANT SELECT ON pg_authid TO "+login.Username)
	err := i.Delete(t.Context(), retire)
	wantError(t, err, rota.ClassStop, nil, "delete password of role "+cfg.Roles[0], "permission denied for table pg_authid")
	if errors.Is(err, rota.ErrNotFound) {
		t.Errorf("it's taken for one that doesn't exist: %v", err)
	}
}

// What was read counts once its transaction has ended.
func TestASingleRoleIsOnlyJudgedByAnAnswer(t *testing.T) {
	s := shared.Get(t)
	c, p := through(t, s, Config{Username: s.Superuser()})
	name := role(t, s)
	s.Exec(t, "ALTER ROLE "+name+" LOGIN PASSWORD 'x'")
	p.faultAt("commit", providertest.Hang)
	err := must(c.Password(PasswordConfig{Role: name})).Delete(testenv.Soon(t, time.Second), rota.RetireRequest{CredentialID: name})
	wantError(t, err, rota.ClassWait, nil, "delete password of role "+name)
	if errors.Is(err, rota.ErrConflict) {
		t.Errorf("silence is taken for an answer: %v", err)
	}
}

// A deletion looks at the role again once nobody else can change it: what was set
// just before stays.
func TestADeletionDecidesUnderTheRolesLock(t *testing.T) {
	s := shared.Get(t)
	c, p := through(t, s, Config{Username: s.Superuser()})
	cfg := pair(t, s)
	name := cfg.Roles[0]
	s.Exec(t, "ALTER ROLE "+name+" LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'")
	i := must(c.Alternating(cfg))
	changed := false
	p.watch(func(sent []byte) providertest.FaultKind {
		if !changed && bytes.Contains(sent, []byte("ALTER ROLE")) {
			changed = true
			s.Exec(t, "ALTER ROLE "+name+" VALID UNTIL 'infinity'")
		}
		return ""
	})
	err := i.Delete(t.Context(), rota.RetireRequest{CredentialID: name})
	wantError(t, err, rota.ClassStop, rota.ErrConflict, "it is active")
	wantList(t, i, []rota.Issued{{ID: name, Active: true}})
}
