// Package engine works many secrets at once: what is due is done when it is
// due, by bounded workers, with bulkheads by outside system, so that a sick
// system delays only the secrets that need it. Here live the pool of workers, a
// single run over all that is due, the local scheduler, and the watchdog that
// tells of what is late; folder river has the scheduler of many replicas. Not
// here: what is done to one secret (package rota), and what is known of each
// (package store).
package engine
