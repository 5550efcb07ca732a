package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/memory"
)

// chestConfig is the configuration of somebody's own issuer, whose traits can't all be true.
type chestConfig struct {
	Name provider.Text `json:"name"`
}

func (c *chestConfig) Traits() rota.Traits     { return chest{}.Traits() }
func (c *chestConfig) Fields() provider.Fields { return provider.Fields{} }
func (c *chestConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	return chest{memory.NewAccessKeys(memory.AccessKeysOptions{})}, b.Err()
}

type chest struct{ *memory.AccessKeys }

func (chest) Traits() rota.Traits {
	return rota.Traits{Kind: "chest", IssuerChooses: true, Limit: 2, Replaces: true}
}

func TestAnIssuerWithImpossibleTraitsIsNotWired(t *testing.T) {
	catalog := MustCatalog(provider.Provider{Name: "chest", Issuers: []provider.Issuer{{Kind: provider.Kind{Key: "chest", Summary: "A chest."},
		New: func() provider.IssuerConfig { return new(chestConfig) }}}})
	f, err := catalog.Parse("rota.yaml", []byte("secrets:\n  - {name: oak, issuer: {chest: {name: oak}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := f.Wire(t.Context(), goodWorld().environment())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	got := fmt.Sprint(w.Broken)
	for _, want := range []string{"oak", `"chest"`, "Replaces needs a Limit of 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("it's broken by %q, which doesn't say %q", got, want)
		}
	}
}
