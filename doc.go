// Package rota is the heart of Rota: the nouns (secret, credential, version,
// policy), the small interfaces that outside systems implement (issuer, store,
// target, reloader, notifier), the pure planner that decides what is to be
// done and why, and the rotator that carries out one step at a time.
//
// It imports nothing else of this module, opens no connection and reads no
// clock of its own. Outside systems live under provider, Rota's own store
// under store, and the wiring in config and internal/cli.
package rota
