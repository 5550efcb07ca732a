// Package vaulttest is a stand-in for Vault and OpenBao, written from their
// documentation and from what a real Vault answered, for the tests that every change
// runs. It isn't Vault. Suite is what both have to pass: module realtest beside this
// package runs it against Vault's own core.
package vaulttest
