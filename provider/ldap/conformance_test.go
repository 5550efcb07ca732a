package ldap

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func TestIssuersKeepTheContract(t *testing.T) {
	s := start(t, testenv.SlapdOptions{Modules: []string{"pw-sha2"}, Lines: "lastbind on\n"})
	for name, cfg := range map[string]EntryConfig{
		"hashed by the server":    {},
		"hashed by Rota":          {Hash: SchemeSSHA},
		"hashed with SHA-512":     {Hash: Scheme512},
		"two passwords":           {Two: true},
		"two hashed with SHA-256": {Two: true, Hash: Scheme256},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				c, p := through(t, s)
				cfg := cfg
				cfg.DN = bare(t, s)
				return providertest.IssuerFixture{
					Issuer: issuerOf(t, c, cfg), Inject: p.inject, UnknownID: "cn=nobody,dc=example,dc=com:00000000", PublicFields: []string{rota.FieldUsername},
					Use: func(t *testing.T, c rota.Credential) {
						if !logsIn(t, s, c) {
							t.Error("it doesn't log in")
						}
					},
				}
			})
		})
	}
}

func TestWhatThePolicyRejectsIsRegenerated(t *testing.T) {
	s := policed(t, map[string]string{"pwdCheckQuality": "1", "pwdMinLength": "20", "pwdInHistory": "3"})
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		c, p := through(t, s)
		return providertest.IssuerFixture{
			Issuer: issuerOf(t, c, EntryConfig{DN: bare(t, s)}), Inject: p.inject, PublicFields: []string{rota.FieldUsername},
			Rejected: func(c rota.Credential) rota.Credential { return testenv.With(c, rota.FieldPassword, "short-password") },
		}
	})
}

// policed is a directory with a password policy for all entries.
func policed(t testing.TB, policy map[string]string) *testenv.Slapd {
	t.Helper()
	s := start(t, testenv.SlapdOptions{Modules: []string{"ppolicy"}, Lines: "overlay ppolicy\nppolicy_default cn=policy,dc=example,dc=com\n"})
	attributes := map[string]string{"objectClass": "device", "cn": "policy"}
	s.Add(t, "cn=policy,dc=example,dc=com", attributes)
	return police(t, s, policy)
}
