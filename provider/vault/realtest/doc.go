// Package realtest runs package vaulttest's suite against HashiCorp Vault's own core,
// which listens in the test's own process. It's a module of its own because Vault is
// large, takes minutes to compile, and has a license (BUSL) that's fine for tests and
// not for Rota itself.
package realtest
