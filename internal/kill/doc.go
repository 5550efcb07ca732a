// Package kill contains only tests. They kill the real program with SIGKILL at
// random moments while it rotates real PostgreSQL roles, and check that nobody
// is locked out after the next run. Faults inside individual calls are the
// crash matrix's job.
package kill
