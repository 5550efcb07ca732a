// Package memory implements the interfaces of package rota in memory: issuers,
// a store, a journal, targets, reloaders, notifiers and checks. They keep every
// promise of the interfaces exactly, and fail on demand. The simulator and
// tests run on them, and users' tests can too. Nothing in the package outlives
// the process, uses the network, starts a goroutine or sleeps.
package memory
