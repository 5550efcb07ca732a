// Package cli is the command rota: its commands, what they print and the codes
// that they exit with. It wires the configuration, Rota's own store, the
// rotator and the engine together; what is done to secrets lives there, not
// here. One file holds one command; the shapes of --output json are in
// shapes.go, and only there.
package cli
