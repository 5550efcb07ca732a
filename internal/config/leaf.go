package config

import "github.com/rota-dev/rota/provider"

// The leaves of the file, which providers' parts of it are made of too.
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

// PasswordRules say how a password is made.
type PasswordRules = provider.PasswordRules

// GoodName reports whether a text can be a secret's name.
func GoodName(name string) bool { return provider.GoodName(name) }
