// Package engine works many secrets at once: what is due is done once, by
// bounded workers, with bulkheads by outside system, so that a sick system
// delays only the secrets that need it. Here live the dispatcher and the
// choice of what is due; not here: what is done to one secret (package rota),
// and what calls the engine again and again.
package engine
