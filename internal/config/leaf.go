package config

import "github.com/rota-dev/rota/provider"

// The leaf types of the file, which providers' configurations also use.
type (
	Pos      = provider.Pos
	Path     = provider.Path
	Text     = provider.Text
	Plain    = provider.Plain
	Name     = provider.Name
	Duration = provider.Duration
	Int      = provider.Int
	Bool     = provider.Bool
)

// PasswordRules say how to generate a password.
type PasswordRules = provider.PasswordRules

// GoodName reports whether a text is a valid name for a secret.
func GoodName(name string) bool { return provider.GoodName(name) }
