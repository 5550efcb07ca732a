// Package cli is the command rota: its commands, what they print and the codes
// that they exit with. It wires the configuration, Rota's own store and the
// rotator together into package service's operations, or asks a running Rota
// for them by package remote; what is done to secrets lives there, not here.
// One file holds one command; the shapes of --output json are package
// service's, the others are in shapes.go.
package cli
