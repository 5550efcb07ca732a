// Package config reads rota.yaml and wires what it describes to providers.
// Parsing is strict, and every error has a position and a hint. The package
// holds the file's types, their JSON Schema and the starter file. The meaning
// of a policy lives in package rota, the behavior of each system under
// provider, and the use of the wired secrets in engine and internal/cli.
package config
