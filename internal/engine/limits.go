package engine

import (
	"cmp"
	"fmt"
	"time"
)

// Limits bound how much is done at once. The zero value has the defaults.
type Limits struct {
	// Workers is how many secrets are worked at once. Defaults to 32.
	Workers int
	// PerSystem is how many secrets are worked at once that need the same
	// outside system. Defaults to 4.
	PerSystem int
	// Patience is how long a secret in hand counts against Workers. One that
	// takes longer waits for a slow system: it keeps its places there, and
	// gives its worker's place to another. Defaults to 100 milliseconds.
	Patience time.Duration
	// MaxTimeouts is how many secrets in a row may time out at a system before
	// the rest of its secrets are skipped, or wait till it has cooled down.
	// Defaults to 3.
	MaxTimeouts int
	// CoolDown is how long a system that timed out too often is left alone
	// before one secret probes it. It doubles with every probe that times out
	// too, up to sixteen times as long. Defaults to 30 seconds.
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

// SkippedError tells that a secret was not begun, and why.
type SkippedError struct {
	Secret string
	System string // the system that timed out too often; "" where the run was ended
	Err    error  // the last timeout, or why the run was ended
}

func (e *SkippedError) Error() string {
	if e.System == "" {
		return fmt.Sprintf("%s: skipped: %v", e.Secret, e.Err)
	}
	return fmt.Sprintf("%s: skipped: %s timed out too often, the last time: %v", e.Secret, e.System, e.Err)
}

func (e *SkippedError) Unwrap() error { return e.Err }
