package random_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/random"
)

// after is the credential that follows another one.
func after(t *testing.T, i *random.Issuer, current rota.Credential) rota.Credential {
	t.Helper()
	c := must(i.Create(t.Context(), rota.CreateRequest{Current: current}))(t)
	if err := i.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	return c
}

// rings are credentials that follow each other, a rotation every 60 days.
func rings(t *testing.T, c *clock, i *random.Issuer, n int) (all []rota.Credential) {
	t.Helper()
	var last rota.Credential
	for range n {
		last = after(t, i, last)
		all = append(all, last)
		c.move(60 * rota.Day)
	}
	return all
}

func TestEachKeyIsKnownARotationAheadAndAcceptedAfterwards(t *testing.T) {
	c := newClock()
	i := must(random.NewSecretKeys(random.SecretKeysConfig{Config: c.config()}))(t)
	all := rings(t, c, i, 4)
	for n := 1; n < len(all); n++ {
		before, now := all[n-1], all[n]
		if now.Field(random.FieldKey) != before.Field(random.FieldNextKey) {
			t.Errorf("ring %d: the key isn't the one that was next", n)
		}
		if now.Field(random.FieldPreviousKey) != before.Field(random.FieldKey) {
			t.Errorf("ring %d: the previous key isn't the one that was current", n)
		}
	}
}

// A token that any of two neighboring rings signs is verified by the other.
func TestTokensAreVerifiedWhoeverHasTheNewRingFirst(t *testing.T) {
	for algorithm, count := range map[string]int{"ES256": 3, "EdDSA": 3, "RS256": 2, "PS256": 2} { // RSA keys take long to make
		t.Run(algorithm, func(t *testing.T) {
			c := newClock()
			i := must(random.NewKeyPairs(random.KeyPairsConfig{Config: c.config(), Algorithm: algorithm}))(t)
			all := rings(t, c, i, count)
			for n := 1; n < len(all); n++ {
				for _, p := range [][2]rota.Credential{{all[n-1], all[n]}, {all[n], all[n-1]}, {all[n], all[n]}} {
					if err := verify(p[1], sign(t, p[0], algorithm)); err != nil {
						t.Errorf("ring %d: %v", n, err)
					}
				}
			}
			if strings.Contains(all[1].Field(random.FieldJWKS), `"d"`) {
				t.Error("the published keys have a private half")
			}
		})
	}
}

func sign(t *testing.T, c rota.Credential, algorithm string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(c.Field(random.FieldKey)))
	key := must(x509.ParsePKCS8PrivateKey(block.Bytes))(t)
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: jose.JSONWebKey{Key: key, KeyID: c.Field(random.FieldKeyID)}}, nil))(t)
	return must(jwt.Signed(signer).Claims(map[string]any{"sub": "anna"}).Serialize())(t)
}

// verify finds the key by its id, as libraries do with a JWK Set.
func verify(c rota.Credential, token string) error {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(c.Field(random.FieldJWKS)), &keys); err != nil {
		return err
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256})
	if err != nil {
		return err
	}
	return parsed.Claims(keys, &map[string]any{})
}

// ids are those of a ring's keys, the next one first.
func ids(t *testing.T, c rota.Credential) []string {
	t.Helper()
	var keys jose.JSONWebKeySet
	text := c.Field(random.FieldJWKS) + c.Field(random.FieldKeys)
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range keys.Keys {
		all = append(all, k.KeyID)
	}
	return all
}

func TestARingForgetsWhatHasEndedAndWhatIsRevoked(t *testing.T) {
	for name := range issuers(t, random.Config{}) {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			config := c.config()
			all := rings(t, c, issuers(t, config)[name], 6) // 60 days apart, each accepted for 180
			if got := ids(t, all[5]); len(got) != 4 || got[3] != all[3].Field(random.FieldKeyID) {
				t.Errorf("the ring has %v, want the next, the current and two earlier keys, the last one %s", got, all[3].Field(random.FieldKeyID))
			}
			last := all[5]
			config.Revoked = []string{ids(t, last)[0], last.Field(random.FieldKeyID)}
			renewed := after(t, issuers(t, config)[name], last)
			for _, id := range ids(t, renewed) {
				if id == config.Revoked[0] || id == config.Revoked[1] {
					t.Errorf("the ring still has the revoked key %s", id)
				}
			}
			if got := ids(t, renewed); len(got) < 3 || got[2] != all[4].Field(random.FieldKeyID) {
				t.Errorf("the ring has %v, and lost a key that isn't revoked: %s", got, all[4].Field(random.FieldKeyID))
			}
			// Much later than planned, the key that was in use until now stays.
			c.move(1000 * rota.Day)
			if got := ids(t, after(t, issuers(t, c.config())[name], renewed)); len(got) != 3 || got[2] != renewed.Field(random.FieldKeyID) {
				t.Errorf("late: the ring has %v", got)
			}
		})
	}
}

func TestOnlyARingThatRotaMadeIsContinued(t *testing.T) {
	c := newClock()
	for name, i := range issuers(t, c.config()) {
		for _, foreign := range []map[string]string{
			{random.FieldKeyID: "x", random.FieldKey: "hush"},
			{random.FieldKeyID: "x", random.FieldKey: "hush", random.FieldKeys: `{"keys":[]}`, random.FieldJWKS: `{"keys":[]}`},
			{random.FieldKeyID: "x", random.FieldKey: "hush", random.FieldKeys: `{"keys":"hush"`, random.FieldJWKS: `{"keys":"hush"`},
		} {
			if _, err := i.Create(t.Context(), rota.CreateRequest{Current: rota.NewCredential(foreign)}); err == nil || strings.Contains(err.Error(), "hush") || len(rota.RemediesOf(err)) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestKeysThatAreTooShortAreRefused(t *testing.T) {
	for name, config := range map[string]random.SecretKeysConfig{
		"15 bytes": {Bytes: 15}, "HS512 with 32": {Bytes: 32, Algorithm: "HS512"}, "2000 bytes": {Bytes: 2000}, "an encoding": {Encoding: "rot13"}, "an algorithm": {Algorithm: "RS256"},
	} {
		if _, err := random.NewSecretKeys(config); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := random.NewKeyPairs(random.KeyPairsConfig{Algorithm: "HS256"}); err == nil {
		t.Error("HS256 pairs: taken")
	}
}
