package postgres

import (
	"strconv"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// strict is a server whose module passwordcheck rejects some passwords. Of a
// verifier it can only tell that the password is the role's own name.
var strict = testenv.SharedPostgres{Options: testenv.PostgresOptions{
	LogStatements: true, Settings: map[string]string{"shared_preload_libraries": "passwordcheck"},
}}

// eachAdmin runs a test as whoever may administer roles: what they may see of
// passwords and sessions differs.
func eachAdmin(t *testing.T, test func(t *testing.T, cfg Config, s *testenv.PostgresServer)) {
	t.Run("as a role with CREATEROLE", func(t *testing.T) {
		s := strict.Get(t)
		test(t, admin(t, s).cfg, s)
	})
	t.Run("as superuser", func(t *testing.T) {
		s := strict.Get(t)
		test(t, superuser(t, s).cfg, s)
	})
}

func fixture(t *testing.T, s *testenv.PostgresServer, cfg Config, issuer func(*Connection) (rota.Issuer, error)) providertest.IssuerFixture {
	t.Helper()
	cfg.ConnectTimeout = 2 * time.Second // that long does a server that hangs keep a place of the pool
	c, p := through(t, s, cfg)
	return providertest.IssuerFixture{
		Issuer: must(issuer(c)), Inject: p.inject,
		PublicFields: []string{FieldHost, FieldPort, FieldDatabase}, UnknownID: "nobody_here",
		Rejected: func(c rota.Credential) rota.Credential {
			return testenv.With(c, rota.FieldPassword, c.Field(rota.FieldUsername))
		},
		Use: func(t *testing.T, c rota.Credential) { session(t, c, "shop") },
	}
}

func TestPasswordKeepsTheContract(t *testing.T) {
	eachAdmin(t, func(t *testing.T, cfg Config, s *testenv.PostgresServer) {
		providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
			return fixture(t, s, cfg, func(c *Connection) (rota.Issuer, error) { return c.Password(PasswordConfig{Role: role(t, s)}) })
		})
	})
}

func TestQueryKeepsTheContract(t *testing.T) {
	providertest.Check(t, func(t *testing.T) providertest.CheckFixture {
		s := shared.Get(t)
		c, p := through(t, s, admin(t, s).cfg)
		table := unique("orders")
		made := func() rota.Credential { return rotate(t, must(c.Password(PasswordConfig{Role: role(t, s)}))) }
		good, unfit := made(), made()
		s.Exec(t, "CREATE TABLE "+table+" (id int)", "GRANT SELECT ON "+table+" TO "+good.Field(rota.FieldUsername), "GRANT SELECT ON "+table+" TO "+quote(c.cfg.Username))
		return providertest.CheckFixture{
			Check: c.Query("orders", "SELECT count(*) FROM "+table), Good: good, Unfit: unfit, Wrong: testenv.With(good, rota.FieldPassword, "wr0ng-value"),
			Inject:       func(_ string, kind providertest.FaultKind) bool { return p.inject("test", kind) },
			PublicFields: []string{FieldHost, FieldPort, FieldDatabase},
		}
	})
}

func TestAlternatingKeepsTheContract(t *testing.T) {
	eachAdmin(t, func(t *testing.T, cfg Config, s *testenv.PostgresServer) {
		providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
			return fixture(t, s, cfg, func(c *Connection) (rota.Issuer, error) { return c.Alternating(pair(t, s)) })
		})
	})
}
