package config

import _ "embed"

//go:embed starter.yaml
var starter string

// Starter is the commented file that rota init writes. It is valid as it is.
func Starter() string { return starter }
