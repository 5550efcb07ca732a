// Package kill holds tests alone: they kill the real program with SIGKILL at
// random moments while it rotates real PostgreSQL roles, and look whether
// anybody is locked out after the next run. Where inside a call a fault may
// strike is the crash matrix's matter, not theirs.
package kill
