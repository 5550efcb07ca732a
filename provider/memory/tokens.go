package memory

import "github.com/rota-dev/rota"

// Tokens issues credentials as [AccessKeys] does, but can't deactivate them, like
// the tokens of many systems: they are active until they are deleted.
type Tokens struct {
	rota.Issuer
	rota.Lister
	rota.UseReporter
	// All are the tokens, with what only a test may ask them.
	All *AccessKeys
}

// NewTokens makes the issuer of a user without tokens.
func NewTokens(o AccessKeysOptions) *Tokens {
	keys := NewAccessKeys(o)
	keys.traits.Kind, keys.deletesActive = "token", true
	return &Tokens{keys, keys, keys, keys}
}
