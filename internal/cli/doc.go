// Package cli is the rota command: its subcommands, their output and exit
// codes. It wires the configuration, Rota's own store and the rotator into
// package service's operations, or uses package remote to ask a running Rota
// for them. What is done to secrets lives there, not here. Each file holds one
// command. The shapes of --output json are in package service, and the rest in
// shapes.go.
package cli
