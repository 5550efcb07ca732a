package github

import (
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// deployKeyConfig is the issuer's part of rota.yaml.
type deployKeyConfig struct {
	At         provider.Pos   `json:"-"`
	Repository provider.Text  `json:"repository" jsonschema:"The repository with its owner, such as shop/api."`
	Title      provider.Plain `json:"title,omitzero" default:"rota" jsonschema:"The title of Rota's keys, which tells them apart from others."`
	Writable   provider.Bool  `json:"writable,omitzero" jsonschema:"true for keys that may push."`
}

// Validate implements [provider.Validator].
func (c *deployKeyConfig) Validate(v *provider.Validation) {
	checkRepository(v, "repository", c.Repository)
}

// Traits implements [provider.IssuerConfig].
func (c *deployKeyConfig) Traits() rota.Traits { return deployKeyTraits() }

// Fields implements [provider.IssuerConfig].
func (c *deployKeyConfig) Fields() provider.Fields {
	return provider.Fields{All: []string{FieldPrivateKey, FieldPublicKey}, Login: []string{FieldPrivateKey}}
}

func (c *deployKeyConfig) title() string {
	if c.Title.Text == "" {
		return DefaultTitle
	}
	return c.Title.Text
}

// Claims implements [provider.Claimer]: one secret alone has the keys of a title.
func (c *deployKeyConfig) Claims(k *provider.Known) []provider.Claim {
	one, ok := placeConfig{Repository: c.Repository}.claim(k, k.Connection, "GitHub deploy keys", "")
	if !ok {
		return nil
	}
	one.Name += c.title()
	one.Shown = "GitHub deploy key " + strconv.Quote(c.title())
	return []provider.Claim{one}
}

// Issuer implements [provider.IssuerConfig].
func (c *deployKeyConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	d := &DeployKeys{Connection: provider.Open[*Connection](b, b.Connection), Title: c.title(), Writable: c.Writable.Yes}
	var err error
	d.Owner, d.Repository, err = ParseRepository(b.Text(c.Repository))
	if b.Err() != nil {
		return nil, b.Err()
	}
	return d, err
}
