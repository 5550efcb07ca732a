package mysql

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func fixture(t *testing.T, s *testenv.MariaDBServer, cfg Config, issuer func(*Connection) (rota.Issuer, error)) providertest.IssuerFixture {
	t.Helper()
	cfg.Username, cfg.Password = adminUser(t, s), adminPassword
	cfg.ConnectTimeout = 2 * time.Second // that long does a server that hangs keep a place of the pool
	c, p := through(t, s, cfg)
	return providertest.IssuerFixture{
		Issuer: must(issuer(c)), Inject: p.inject,
		PublicFields: []string{FieldHost, FieldPort}, UnknownID: "nobody_here",
		Use: func(t *testing.T, c rota.Credential) { session(t, c) },
	}
}

func TestPasswordKeepsTheContract(t *testing.T) {
	for _, plugin := range []string{pluginNative, pluginEd25519} {
		t.Run(plugin, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				s := shared.Get(t)
				return fixture(t, s, Config{}, func(c *Connection) (rota.Issuer, error) {
					return c.Password(PasswordConfig{User: user(t, s, plugin)})
				})
			})
		})
	}
}

func TestAlternatingKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		s := shared.Get(t)
		return fixture(t, s, Config{}, func(c *Connection) (rota.Issuer, error) { return c.Alternating(pair(t, s)) })
	})
}

func TestPasswordsThatTheServerChecksKeepTheContract(t *testing.T) {
	testenv.NeedMariaDB(t)
	s := testenv.MariaDB(t, testenv.MariaDBOptions{}) // the plugin would reject what the test's own accounts are made with
	rules := rota.PasswordRules{Length: 32, Alphabet: "abcdefgABCDEFG123456!-_"}
	once := false
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		if once {
			s.Exec(t, "UNINSTALL SONAME 'simple_password_check'")
		}
		cfg := pair(t, s)
		cfg.Rules = rules
		f := fixture(t, s, Config{SendPasswords: true}, func(c *Connection) (rota.Issuer, error) { return c.Alternating(cfg) })
		// Only the length counts: a random password may lack digits or capitals.
		s.Exec(t, "INSTALL SONAME 'simple_password_check'",
			"SET GLOBAL simple_password_check_digits = 0, GLOBAL simple_password_check_letters_same_case = 0, GLOBAL simple_password_check_other_characters = 0")
		once = true
		f.Rejected = func(c rota.Credential) rota.Credential { return testenv.With(c, rota.FieldPassword, "abcdef") }
		return f
	})
}

func TestQueryKeepsTheContract(t *testing.T) {
	providertest.Check(t, func(t *testing.T) providertest.CheckFixture {
		s := shared.Get(t)
		db := unique("shop")
		c, p := through(t, s, Config{Username: adminUser(t, s), Password: adminPassword})
		made := func() rota.Credential {
			return rotate(t, must(c.Password(PasswordConfig{User: user(t, s, pluginNative)})))
		}
		good, unfit := made(), made()
		s.Exec(t, "CREATE DATABASE "+db, "CREATE TABLE "+db+".orders (id int)", "GRANT SELECT ON "+db+".* TO "+good.Field(rota.FieldUsername))
		return providertest.CheckFixture{
			Check: c.Query("orders", "SELECT COUNT(*) FROM "+db+".orders"), Good: good, Unfit: unfit, Wrong: testenv.With(good, rota.FieldPassword, "wr0ng-value"),
			Inject:       func(_ string, kind providertest.FaultKind) bool { return p.inject("test", kind) },
			PublicFields: []string{FieldHost, FieldPort},
		}
	})
}
