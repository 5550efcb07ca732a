package rabbitmq

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func TestIssuersKeepTheContract(t *testing.T) {
	s := Shared.Get(t)
	makers := map[string]func(t *testing.T, c *Connection) rota.Issuer{
		"one user": func(t *testing.T, c *Connection) rota.Issuer { return one(t, c, app(t, s)) },
		"a pair":   func(t *testing.T, c *Connection) rota.Issuer { return pair(t, c, app(t, s), app(t, s)) },
		"over the management API": func(t *testing.T, c *Connection) rota.Issuer {
			c.amqp = nil
			return one(t, c, app(t, s, "management"))
		},
	}
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				c, f := through(t, s)
				i := maker(t, c)
				inject := f.inject
				if c.amqp == nil {
					inject = func(op string, kind providertest.FaultKind) bool {
						if op == "test" {
							op = "list" // its only request is read-only, too
						}
						return f.inject(op, kind)
					}
				}
				return providertest.IssuerFixture{
					Issuer: i, Inject: inject, UnknownID: "nobody", PublicFields: []string{rota.FieldUsername},
					Use: func(t *testing.T, c rota.Credential) { use(t, s, c) },
				}
			})
		})
	}
}

func TestWhatTheValidatorRejectsIsRegenerated(t *testing.T) {
	s := Shared.Get(t)
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		cfg := admin(t, s)
		cfg.SendPasswords = true
		return providertest.IssuerFixture{
			Issuer: one(t, connect(t, cfg), app(t, s)), PublicFields: []string{rota.FieldUsername},
			Rejected: func(c rota.Credential) rota.Credential { return testenv.With(c, rota.FieldPassword, "short-password") },
		}
	})
}
