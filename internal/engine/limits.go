package engine

import (
	"cmp"
	"fmt"
	"time"
)

// Limits bound how much happens at once. The zero value has the defaults.
type Limits struct {
	// Workers is how many turns run at once. Defaults to 32.
	Workers int
	// PerSystem is how many turns run at once that need the same outside system.
	// Defaults to 4.
	PerSystem int
	// Patience is how long a turn in flight counts against Workers. One that
	// takes longer waits for a slow system: it stays in flight there and gives
	// its worker slot to another. Defaults to 100 milliseconds.
	Patience time.Duration
	// MaxTimeouts is how many timeouts in a row open a system's circuit: turns
	// that a caller waits for are then skipped, the others wait. Defaults to 3.
	MaxTimeouts int
	// CoolDown is how long a circuit stays open before one turn probes the
	// system. It doubles with every probe that times out, up to sixteen times as
	// long. Defaults to 30 seconds.
	CoolDown time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Workers = cmp.Or(l.Workers, 32)
	l.PerSystem = cmp.Or(l.PerSystem, 4)
	l.Patience = cmp.Or(l.Patience, 100*time.Millisecond)
	l.MaxTimeouts = cmp.Or(l.MaxTimeouts, 3)
	l.CoolDown = cmp.Or(l.CoolDown, 30*time.Second)
	return l
}

// SkippedError means that a turn didn't start, and why.
type SkippedError struct {
	System string // the system whose circuit is open; "" if the run ended
	Err    error  // its last timeout, or why the run ended
}

func (e *SkippedError) Error() string {
	if e.System == "" {
		return fmt.Sprintf("skipped: %v", e.Err)
	}
	return fmt.Sprintf("skipped: %s timed out too often, the last time: %v", e.System, e.Err)
}

func (e *SkippedError) Unwrap() error { return e.Err }
