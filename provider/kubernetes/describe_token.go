package kubernetes

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

func tokenIssuer() provider.Issuer {
	return provider.Issuer{
		Kind: provider.Kind{
			Key: "kubernetes_service_account_token", Summary: "A token of a Kubernetes service account, for use outside the cluster (connection: kubernetes).",
			Example: "{namespace: shop, service_account: ci}",
		},
		Connection: kindKubernetes, Evidence: rota.EvidenceUnknown,
		New: func() provider.IssuerConfig { return new(tokenConfig) },
	}
}

// tokenConfig is an issuer's part of rota.yaml.
type tokenConfig struct {
	At             provider.Pos      `json:"-"`
	Namespace      provider.Plain    `json:"namespace" jsonschema:"The service account's namespace."`
	ServiceAccount provider.Plain    `json:"service_account" jsonschema:"The service account's name. It must exist."`
	Audiences      []provider.Plain  `json:"audiences,omitzero" default:"the API server" jsonschema:"Who the token is for, such as https://vault.example.com."`
	ExpiresAfter   provider.Duration `json:"expires_after,omitzero" default:"30d" jsonschema:"How long a token is asked for. The API server may shorten it, to 24 hours at EKS for example; Rota goes by what it answers."`
}

// maxAccount is how long a service account's name may be, so that its Secrets' names fit.
const maxAccount = 240

// Validate implements [provider.Validator].
func (c *tokenConfig) Validate(v *provider.Validation) {
	checkName(v, "namespace", c.Namespace, goodNamespace)
	checkName(v, "service_account", c.ServiceAccount, func(name string) bool { return goodName(name) && len(name) <= maxAccount })
	if c.ExpiresAfter.IsSet() && c.ExpiresAfter.Length < time.Hour {
		v.Problem(c.ExpiresAfter.At, "expires_after", "30d", "%s leaves no time for a rotation", rota.FormatDuration(c.ExpiresAfter.Length))
	}
}

// Traits implements [provider.IssuerConfig].
func (c *tokenConfig) Traits() rota.Traits { return tokenTraits(c.ExpiresAfter.Length) }

// Fields implements [provider.IssuerConfig].
func (c *tokenConfig) Fields() provider.Fields {
	all := []string{FieldToken, FieldTokenID}
	return provider.Fields{All: all, Login: all}
}

// Claims implements [provider.Claimer].
func (c *tokenConfig) Claims(k *provider.Known) []provider.Claim {
	name := c.Namespace.Text + "/" + c.ServiceAccount.Text
	return []provider.Claim{{Kind: "Kubernetes service account", Name: name, Connection: k.Connection, Shown: "service account " + name, At: c.ServiceAccount.At}}
}

// Issuer implements [provider.IssuerConfig].
func (c *tokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	t := &Tokens{Connection: provider.Open[*Connection](b, b.Connection), Namespace: c.Namespace.Text, ServiceAccount: c.ServiceAccount.Text, ExpiresAfter: c.ExpiresAfter.Length}
	for _, a := range c.Audiences {
		t.Audiences = append(t.Audiences, a.Text)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return t, nil
}
