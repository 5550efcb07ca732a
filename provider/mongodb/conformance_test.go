package mongodb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
	"github.com/rota-dev/rota/provider/providertest"
)

func TestIssuersKeepTheContract(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	cfg := admin(t, s)
	for name, maker := range map[string]func(t *testing.T, c *Connection) rota.Issuer{
		"one user":                  func(t *testing.T, c *Connection) rota.Issuer { return one(t, c, app(t, s)) },
		"one user with SCRAM-SHA-1": func(t *testing.T, c *Connection) rota.Issuer { return one(t, c, app(t, s, "SCRAM-SHA-1")) },
		"a pair":                    func(t *testing.T, c *Connection) rota.Issuer { return pair(t, c, app(t, s), app(t, s)) },
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				c, p := through(t, cfg)
				return providertest.IssuerFixture{
					Issuer: maker(t, c), Inject: p.inject, UnknownID: "nobody", PublicFields: []string{rota.FieldUsername, FieldAuthSource},
					Wrong: wrong,
					Use: func(t *testing.T, c rota.Credential) {
						if err := asks(t, consumer(t, s.Addr, c)); err != nil {
							t.Fatal(err)
						}
					},
				}
			})
		})
	}
}

// onFerretDB leaves out what FerretDB doesn't have: privileges and connections to look
// at.
type onFerretDB struct {
	rota.Issuer
	rota.Lister
	rota.Teller
}

func TestTheIssuerKeepsTheContractOnFerretDB(t *testing.T) {
	s, cfg := ferret(t)
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		c, p := through(t, cfg)
		const name = "app"
		if answer := s.Do(t, "admin", bson.D{{Key: "usersInfo", Value: name}}); len(answer.Lookup("users").Array()) > 5 {
			s.Do(t, "admin", bson.D{{Key: "dropUser", Value: name}})
		}
		s.Do(t, "admin", bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "nobody-knows-this"}, {Key: "roles", Value: bson.A{}}})
		u := one(t, c, name)
		return providertest.IssuerFixture{
			Issuer: onFerretDB{u, u, u}, Inject: p.inject, UnknownID: "nobody", PublicFields: []string{rota.FieldUsername, FieldAuthSource}, Wrong: wrong,
		}
	})
}

// wrong is a credential with another password.
func wrong(c rota.Credential) rota.Credential {
	return testenv.With(c, rota.FieldPassword, "x"+c.Field(rota.FieldPassword))
}

// through is a connection by way of a proxy.
func through(t testing.TB, cfg Config) (*Connection, *proxy) {
	t.Helper()
	p := newProxy(t, cfg.Hosts[0])
	cfg.Hosts = []string{p.addr}
	return connect(t, cfg), p
}

func TestTheCheckKeepsTheContract(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	cfg := admin(t, s)
	providertest.Check(t, func(t *testing.T) providertest.CheckFixture {
		c, p := through(t, cfg)
		good, unfit := rotate(t, one(t, c, app(t, s))), rotate(t, one(t, c, app(t, s)))
		do(t, s, "admin", bson.D{{Key: "updateUser", Value: unfit.Field(rota.FieldUsername)}, {Key: "roles", Value: bson.A{}}})
		k, err := c.Command("orders", CommandConfig{Database: "shop", JSON: `{"count": "orders"}`})
		if err != nil {
			t.Fatal(err)
		}
		return providertest.CheckFixture{Check: k, Good: good, Unfit: unfit, Wrong: wrong(good), Inject: p.inject, PublicFields: []string{FieldAuthSource}}
	})
}
