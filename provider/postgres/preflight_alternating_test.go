package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
)

// checks are the preflight's, with the roles' names left out.
func checks(t *testing.T, i rota.Issuer, roles [2]string, group string) []string {
	t.Helper()
	var all []string
	for _, f := range findings(t, i) {
		text := strings.NewReplacer(roles[0], "ONE", roles[1], "TWO").Replace(f.Check)
		if group != "" {
			text = strings.ReplaceAll(text, group, "GROUP")
		}
		all = append(all, text)
	}
	return all
}

func TestThePreflightOfAPairLooksAtWhatIsThere(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	both := []string{"role ONE owns nothing", "role TWO owns nothing", "roles ONE and TWO have the same rights", "one of roles ONE and TWO is free"}
	const sessions = "all sessions are seen"
	for _, test := range []struct {
		name         string
		exist        [2]bool
		group, clone bool
		want         []string // the checks that depend on it
	}{
		{"no role", [2]bool{}, true, false, []string{"find role ONE", "find role TWO"}},
		{"the first role", [2]bool{true, false}, true, false, []string{"role ONE has the privileges of group GROUP", "find role TWO", sessions}},
		{"the second role", [2]bool{false, true}, true, false, []string{"find role ONE", "role TWO has the privileges of group GROUP", sessions}},
		{"the first role, to be cloned", [2]bool{true, false}, false, true, []string{"find role TWO", sessions}},
		{"both roles", [2]bool{true, true}, false, false, append(slices.Clone(both), sessions)},
		{"both roles and a group", [2]bool{true, true}, true, false, append(slices.Clone(both), "role ONE has the privileges of group GROUP", "role TWO has the privileges of group GROUP", sessions)},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := pair(t, s)
			for n, exists := range test.exist {
				if !exists {
					s.Exec(t, "DROP ROLE "+cfg.Roles[n])
				}
			}
			if !test.group {
				cfg.Group = ""
			}
			cfg.Clone = test.clone
			i := must(c.Alternating(cfg))
			got := checks(t, i, cfg.Roles, cfg.Group)
			depends := append(slices.Clone(both), "find role ONE", "find role TWO", "role ONE has the privileges of group", "role TWO has the privileges of group", sessions)
			for _, check := range depends {
				begins := func(text string) bool { return strings.HasPrefix(text, check) }
				if has, want := slices.ContainsFunc(got, begins), slices.ContainsFunc(test.want, begins); has != want {
					t.Errorf("%q is looked at: %t, want %t; all: %q", check, has, want, got)
				}
			}
			for n, exists := range test.exist {
				if !exists {
					willBe := test.clone && n == 1
					wantFinding(t, i, findRole(cfg.Roles[n]), willBe, map[bool]string{true: "the first rotation creates it", false: "it does not exist"}[willBe])
				}
			}
		})
	}
}

// A query that fails is no answer to any check.
func TestAPreflightOfAPairThatFailsIsNotGood(t *testing.T) {
	s := shared.Get(t)
	c, p := through(t, s, Config{Username: s.Superuser()})
	cfg := pair(t, s)
	a := must(c.Alternating(cfg)).(*alternating)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, f := range map[string]rota.Finding{
		"group":     a.inGroup(ctx, cfg.Roles[0]),
		"ownership": a.ownsNothing(ctx, cfg.Roles[0], cfg.Roles[1]),
		"free":      a.oneFree(ctx),
		"standbys":  a.noStandbys(ctx),
	} {
		if f.OK || f.Warning || !strings.Contains(f.Detail, "context canceled") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for what, at := range map[string]string{"Rota's own rights": "pg_is_in_recovery", "the roles' rights": "WITH me AS"} {
		p.faultAt(at, providertest.FailBefore)
		if f := a.sameRights(t.Context()); f.OK || f.Detail == "" || strings.HasPrefix(f.Detail, "only ") {
			t.Errorf("%s aren't read: %+v", what, f)
		}
	}
	p.watch(nil)
	if f := a.sameRights(t.Context()); !f.OK || f.Detail != "" || len(f.Remedies) > 0 {
		t.Errorf("afterwards: %+v", f)
	}
}

func TestWhichRoleOfAPairIsFree(t *testing.T) {
	s := shared.Get(t)
	const check, password, none = "is free for the next password", "LOGIN PASSWORD 'x'", "NOLOGIN PASSWORD NULL"
	const locked = "NOLOGIN PASSWORD 'x'"
	for _, test := range []struct {
		name, one, two string
		locked         int // which one is named as locked, -1 for none
		detail         string
	}{
		{"neither has a password", none, none, -1, ""},
		{"one has a password", password, none, -1, ""},
		{"one is locked, and the other is free", locked, none, -1, ""},
		{"both have a password", password, password, -1, "both can log in"},
		{"the first is locked", locked, password, 0, "somebody locked it"},
		{"the second is locked", password, locked, 1, "somebody locked it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := pair(t, s)
			slices.Sort(cfg.Roles[:]) // as they're listed
			s.Exec(t, "ALTER ROLE "+cfg.Roles[0]+" "+test.one, "ALTER ROLE "+cfg.Roles[1]+" "+test.two)
			f := wantFinding(t, must(superuser(t, s).Alternating(cfg)), check, test.detail == "", test.detail)
			if f.Warning != (test.detail != "") {
				t.Errorf("%+v", f)
			}
			if test.locked < 0 {
				return
			}
			name := cfg.Roles[test.locked]
			want := append(rota.Outside("ALTER ROLE "+quote(name)+" LOGIN, if it's meant to log in again"),
				rota.Outside("ALTER ROLE "+quote(name)+" PASSWORD NULL, if Rota may use it for the next password")...)
			if !strings.HasPrefix(f.Detail, "role "+name+" can't log in") || !slices.EqualFunc(f.Remedies, want, func(a, b rota.Remedy) bool { return a.Text == b.Text }) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A standby receives what the primary does over connections of their own kind.
func TestStandbysAreWarnedOf(t *testing.T) {
	s := shared.Get(t)
	a := must(admin(t, s).Alternating(pair(t, s)))
	const check = "all sessions are seen"
	wantFinding(t, a, check, true, "")
	standby := must(pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=%s dbname=postgres sslmode=disable replication=database", s.Host, s.Port, s.Superuser())))
	f := wantFinding(t, a, check, false, "1 replication connections: sessions on standbys aren't visible")
	if !f.Warning || !strings.Contains(rota.Hint(f.Remedies), "a grace that is longer") {
		t.Errorf("%+v", f)
	}
	if err := standby.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		f := a.(*alternating).noStandbys(t.Context())
		return f.OK && !f.Warning
	})
}

func TestAListNamesFiveThings(t *testing.T) {
	for _, test := range []struct {
		things int
		want   string
	}{{0, ""}, {1, "1"}, {5, "1, 2, 3, 4, 5"}, {6, "1, 2, 3, 4, 5 and 1 more"}, {9, "1, 2, 3, 4, 5 and 4 more"}} {
		var things []string
		for n := range test.things {
			things = append(things, itoa(n+1))
		}
		if got := list(things); got != test.want {
			t.Errorf("%d things: %q, want %q", test.things, got, test.want)
		}
	}
}
