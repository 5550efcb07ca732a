package provider

import "github.com/rota-dev/rota"

// PasswordRules say how a password is made. Issuers that make passwords embed
// them in their configuration.
type PasswordRules struct {
	At       Pos   `json:"-"`
	Length   Int   `json:"length,omitzero" min:"8" max:"1024" default:"32" jsonschema:"The number of characters."`
	Alphabet Plain `json:"alphabet,omitzero" default:"letters, digits and a few symbols that are safe in URLs and shells" jsonschema:"The characters to choose from."`
	Exclude  Plain `json:"exclude,omitzero" empty:"true" jsonschema:"Characters to leave out of the alphabet."`
}

// Over are the rules, with the defaults where they leave something open.
func (own PasswordRules) Over(defaults PasswordRules) rota.PasswordRules {
	length, alphabet, exclude := own.Length, own.Alphabet, own.Exclude
	if !length.IsSet() {
		length = defaults.Length
	}
	if !alphabet.IsSet() {
		alphabet = defaults.Alphabet
	}
	if !exclude.IsSet() {
		exclude = defaults.Exclude
	}
	return rota.PasswordRules{Length: length.Number, Alphabet: alphabet.Text, Exclude: exclude.Text}
}
