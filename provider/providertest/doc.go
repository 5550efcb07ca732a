// Package providertest holds the conformance suites that every issuer, store,
// journal, check, target, reloader and notifier must pass. Each suite checks the
// contract in the interface's doc comment line by line. It runs against a
// fixture that the provider's own test makes: a fresh outside system for each
// case and, if possible, a hook that makes the system fail. Cases that don't
// apply to an implementation are left out. Behavior specific to one system is
// tested next to that system.
package providertest
