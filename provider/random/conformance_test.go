package random_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/random"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Unix())
	return c
}

func (c *clock) now() time.Time        { return time.Unix(c.at.Load(), 0) }
func (c *clock) move(by time.Duration) { c.at.Add(int64(by / time.Second)) }
func (c *clock) config() random.Config { return random.Config{Now: c.now} }
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// issuers are all kinds of keys, but for RSA's, which take long to make.
func issuers(t *testing.T, c random.Config) map[string]*random.Issuer {
	t.Helper()
	all := map[string]*random.Issuer{
		"base64": must(random.NewSecretKeys(random.SecretKeysConfig{Config: c}))(t),
		"hex":    must(random.NewSecretKeys(random.SecretKeysConfig{Config: c, Bytes: 16, Encoding: random.Hex}))(t),
		"HS512":  must(random.NewSecretKeys(random.SecretKeysConfig{Config: c, Encoding: random.Base64URL, Algorithm: "HS512"}))(t),
	}
	for _, algorithm := range []string{"", "ES384", "ES512", "EdDSA"} {
		all["pair "+algorithm] = must(random.NewKeyPairs(random.KeyPairsConfig{Config: c, Algorithm: algorithm}))(t)
	}
	return all
}

func TestTheIssuersConform(t *testing.T) {
	for name := range issuers(t, random.Config{}) {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				c := newClock()
				return providertest.IssuerFixture{
					Issuer:       issuers(t, c.config())[name],
					PublicFields: []string{random.FieldKeyID, random.FieldPublicKey, random.FieldJWKS, rota.FieldExpiration},
					Expire:       func(*testing.T) { c.move(random.DefaultLifetime) },
				}
			})
		})
	}
}
