// Package config reads rota.yaml: strictly, with a position and a hint in
// every error, and wires what it describes to providers. It holds the file's
// types, their JSON Schema and the starter file. What a policy means lives in
// package rota, what a system does under provider, and what is done with the
// wired secrets in engine and internal/cli.
package config
