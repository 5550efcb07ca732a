package manual

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Provider describes what rota.yaml can name of what only people can rotate.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "manual",
		System:  "People",
		Example: example,
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "manual", Remote: true, Summary: "A credential only a person can rotate. Rota sends reminders, and rota done records the rotation.",
				Example: "{what: licence key}",
			},
			Varies: "what names the credential",
			New:    func() provider.IssuerConfig { return new(issuerConfig) },
		}},
	}
}

// issuerConfig is what no program can rotate.
type issuerConfig struct {
	At   provider.Pos   `json:"-"`
	What provider.Plain `json:"what" jsonschema:"A description for people, such as licence key."`
}

// Traits implements [provider.IssuerConfig].
func (c *issuerConfig) Traits() rota.Traits { return Issuer{What: c.What.Text}.Traits() }

// Fields implements [provider.IssuerConfig]: Rota doesn't know the credential.
func (c *issuerConfig) Fields() provider.Fields { return provider.Fields{} }

// Issuer implements [provider.IssuerConfig].
func (c *issuerConfig) Issuer(*provider.Build) (rota.Issuer, error) {
	return Issuer{What: c.What.Text}, nil
}

// example is a rota.yaml for rota providers and the docs.
const example = `secrets:
  - name: prod/erp-licence
    owner: erp-team@example.org
    issuer: {manual: {what: licence key}}
    policy: {rotate_every: 365d, warn_before: 30d}
`
