// Package engine works on many secrets at once: it does what is due when it is
// due, with a bounded number of workers and a bulkhead per outside system, so
// that a slow system delays only the secrets that need it. It contains the
// worker pool, a single run over everything that's due, the local scheduler,
// and the watchdog that alerts about overdue secrets. Subpackage river has the
// scheduler for several replicas. What is done to one secret is in package
// rotation, and what is known about each, in package store.
package engine
