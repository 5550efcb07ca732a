package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// A role that was given what the document says, and nothing else, passes every
// check and rotates.
func TestThePrintedGrantsAreEnough(t *testing.T) {
	s := strict.Get(t)
	cfg := superuser(t, s).cfg
	cfg.Username, cfg.Password = unique("rota"), "printed-grants"
	s.Exec(t, "CREATE ROLE "+quote(cfg.Username)+" LOGIN PASSWORD 'printed-grants'")
	conn := connect(t, cfg)
	issuer := must(conn.Alternating(pair(t, s)))
	grants := must(provider.Grants(t.Context(), provider.PolicyRequest{
		Connections: []string{"app-db"}, Pieces: []provider.Piece{{Connections: []string{"app-db"}, Made: issuer}},
	}))
	_, admin, _ := conn.preflight(t.Context())
	printed := string(must(document(grants, nil)))
	for statement := range strings.Lines(printed) {
		if !strings.HasPrefix(statement, "--") && (admin.Version >= strictVersion || !strings.HasSuffix(statement, "16 and later\n")) {
			s.Exec(t, statement)
		}
	}
	for _, f := range issuer.(rota.Preflighter).Preflight(t.Context()) {
		if !f.OK && !f.Warning {
			t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
	first := rotate(t, issuer)
	rotate(t, issuer, first.Field(rota.FieldUsername))
	if !slices.ContainsFunc(strings.Split(printed, "\n"), func(line string) bool { return strings.HasPrefix(line, "-- optional: GRANT SELECT") }) {
		t.Errorf("what Rota can do without is not commented out:\n%s", printed)
	}
}

// What a denied change names as its remedy is enough, however many it takes.
func TestTheRemediesOfADeniedChangeAreEnough(t *testing.T) {
	s := shared.Get(t)
	name, first, cloned := unique("rota"), unique("app"), unique("app")
	s.Exec(t, "CREATE ROLE "+name+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'", "CREATE ROLE "+first, "CREATE ROLE "+cloned)
	conn := connect(t, Config{Host: s.Host, Port: s.Port, Username: name, Password: adminPassword})
	for _, test := range []struct {
		what           string
		issuer         rota.Issuer
		taken          []string
		before, strict int // how many remedies it takes
	}{
		{"a role", must(conn.Password(PasswordConfig{Role: first})), nil, 1, 2},
		{"a clone", must(conn.Alternating(AlternatingConfig{Roles: [2]string{cloned, cloned + "_clone"}, Clone: true})), []string{cloned}, 0, 1},
	} {
		t.Run(test.what, func(t *testing.T) {
			credential := must(test.issuer.Create(t.Context(), rota.CreateRequest{Taken: test.taken}))
			followed := 0
			for {
				err := test.issuer.Set(t.Context(), rota.SetRequest{Credential: credential})
				if err == nil {
					break
				}
				if followed++; followed > 3 {
					t.Fatal(err)
				}
				s.Exec(t, rota.RemediesOf(err)[0].Text)
			}
			if err := test.issuer.Test(t.Context(), rota.TestRequest{Credential: credential}); err != nil {
				t.Error(err)
			}
			if want := map[bool]int{false: test.before, true: test.strict}[needsAdminOption(t, s)]; followed != want {
				t.Errorf("%d remedies were followed, want %d", followed, want)
			}
		})
	}
}

// A name can't get out of the comment that it stands in.
func TestNamesStayWithinTheirStatements(t *testing.T) {
	conn := connect(t, Config{Host: "127.0.0.1", Username: "a\nDROP TABLE orders; --"})
	grants := must(provider.Grants(t.Context(), provider.PolicyRequest{
		Connections: []string{"app-db"}, Pieces: []provider.Piece{{Connections: []string{"app-db"}, Made: must(conn.Password(PasswordConfig{Role: "orders"}))}},
	}))
	printed := string(must(document(grants, nil)))
	if strings.Contains(printed, "-- optional") || !strings.Contains(printed, `ALTER ROLE "a`) {
		t.Errorf("got\n%s", printed)
	}
}
