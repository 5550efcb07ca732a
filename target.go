package rota

import (
	"context"
	"time"
)

// Target is a place that receives a copy of the current credential: a file, a
// variable, a row. All methods must be safe to call concurrently.
type Target interface {
	// Name returns a name that's unique among a secret's targets and never
	// changes: progress is recorded under it.
	Name() string
	// Deliver writes the credential. It's idempotent and atomic: readers see
	// either the whole old value or the whole new one.
	Deliver(ctx context.Context, r DeliverRequest) error
}

// DeliverRequest is a credential to write to a target.
type DeliverRequest struct {
	Secret     string
	Version    string
	Credential Credential
}

// Reloader makes consumers switch to the new value, and waits for them.
type Reloader interface {
	// Name returns a name that's unique among a secret's reloaders and never
	// changes.
	Name() string
	// Reload returns nil once the consumers are healthy and running with the
	// version. It can be called again for the same version after a crash. It
	// sets its own deadline, as long as its consumers need.
	Reload(ctx context.Context, r ReloadRequest) error
}

// ReloadRequest says which version consumers should switch to.
type ReloadRequest struct {
	Secret  string
	Version string
	// From is when the version was made, or made current again by a rollback, by
	// Rota's clock: nobody can have its value from before. It's zero if nobody knows.
	From time.Time
	// Credential is the version's. It's for seeing whether a copy that something else
	// makes holds it, and is never passed on. It's zero if it isn't known.
	Credential Credential
}

// Check is the user's own test of a new credential: a bucket that must be
// reachable, a query that must run.
type Check interface {
	Name() string
	// Check uses the credential once. Errors are classified like an issuer's.
	Check(ctx context.Context, c Credential) error
}

// Notifier sends events to people or other systems.
type Notifier interface {
	// Name returns a name that's unique among a secret's notifiers and never
	// changes: unsent events are kept under it.
	Name() string
	// Notify sends one event. It can be called concurrently, and again with the
	// same event (same ID) after a failure. Errors are classified like an
	// issuer's, but Notify is retried whatever the class.
	Notify(ctx context.Context, e Event) error
}

// Chooser is implemented by notifiers that only want some kinds of events.
type Chooser interface {
	Wants(k EventKind) bool
}
