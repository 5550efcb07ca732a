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
		if !strings.HasPrefix(statement, "--") && (admin.Version >= 160000 || !strings.HasSuffix(statement, "16 and later\n")) {
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
