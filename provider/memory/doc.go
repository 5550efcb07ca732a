// Package memory holds issuers, a store, a journal, targets, reloaders,
// notifiers and checks that live in memory behind the interfaces of package
// rota: exact in what they promise, and faulty on demand. The simulator and
// tests, those of users too, run on it. Nothing in it outlives the process,
// speaks to a network, starts a goroutine or sleeps.
package memory
