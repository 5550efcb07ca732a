package config

import _ "embed"

//go:embed starter.yaml
var starter string

// Starter returns the commented file that rota init writes. It is valid as is.
func Starter() string { return starter }
