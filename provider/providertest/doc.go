// Package providertest holds the conformance suites that every issuer, store,
// journal, target, reloader and notifier passes. Each suite goes through the
// contract in the interface's comment line by line, over a fixture that the
// provider's own test makes: a fresh outside system for each case, and, where
// it can, a hook that makes the system fail. A case that does not apply to an
// implementation is left out. What is peculiar to one system is
// tested beside that system.
package providertest
