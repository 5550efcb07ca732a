package http

import (
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// targetConfig is a request that delivers.
type targetConfig struct {
	Connection provider.ConnectionName `json:"connection" kind:"http" jsonschema:"The name of an http connection."`
	requestConfig
}

// Validate implements [provider.Validator].
func (c *targetConfig) Validate(v *provider.Validation) {
	public := []string{"secret", "version"}
	c.validate(v, "", public, slices.Concat(v.Issuer.Fields.All, public))
	if !slices.ContainsFunc(v.Issuer.Fields.All, func(f string) bool { return c.mentions(f) }) {
		v.Problem(c.At, "", "a field of the credential in its body", "it delivers nothing of the credential")
	}
}

// Claims implements [provider.Claimer].
func (c *targetConfig) Claims(*provider.Known) []provider.Claim {
	if c.Path.Text == "" {
		return nil
	}
	return []provider.Claim{{Kind: "HTTP resource", Name: c.Path.Text, Connection: c.Connection.Text, Shown: "HTTP resource " + c.Path.Text, At: c.Path.At}}
}

// Target implements [provider.TargetConfig].
func (c *targetConfig) Target(b *provider.Build) (rota.Target, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Target(b.Name, c.request("PUT")), nil
}

// untilConfig is the request that says when a reload is over.
type untilConfig struct {
	requestConfig
	Place provider.Plain `json:"at" jsonschema:"Where its answer says how far the reload is."`
	Is    provider.Plain `json:"is" jsonschema:"What it says there at the end. {version} stands for the version's id."`
}

// reloaderConfig is a request that reloads.
type reloaderConfig struct {
	Connection provider.ConnectionName `json:"connection" kind:"http" jsonschema:"The name of an http connection."`
	requestConfig
	Until   *untilConfig      `json:"until,omitzero" jsonschema:"Is asked every 2 s until it says that consumers run with the new credential."`
	Timeout provider.Duration `json:"timeout,omitzero" default:"5m" jsonschema:"How long a reload may take."`
}

// Validate implements [provider.Validator].
func (c *reloaderConfig) Validate(v *provider.Validation) {
	public := []string{"secret", "version"}
	c.validate(v, "", public, public)
	if c.Until != nil {
		c.Until.validate(v, "until", public, public)
		if err := checkTemplate(c.Until.Is.Text, public); err != nil {
			v.Error(c.Until.Is.At, "until", fmt.Errorf("is: %w", err))
		}
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *reloaderConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	cfg := ReloadConfig{Request: c.request("POST"), Timeout: c.Timeout.Length}
	if c.Until != nil {
		cfg.Until, cfg.At, cfg.Is = c.Until.request("GET"), c.Until.Place.Text, c.Until.Is.Text
	}
	return connection.Reloader(b.Name, cfg), nil
}
