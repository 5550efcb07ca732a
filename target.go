package rota

import "context"

// Target is a place that gets a copy of the current credential: a file, a
// variable, a row. All methods may be called concurrently.
type Target interface {
	// Name is unique among a secret's targets, and stable: progress is kept
	// under it.
	Name() string
	// Deliver writes the credential. It is idempotent, and readers see either
	// the whole old value or the whole new one.
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
	// Name is unique among a secret's reloaders, and stable.
	Name() string
	// Reload returns nil once the consumers are healthy and running with the
	// version. It may be called again for the same version after a crash. It
	// has its own deadline, as long as its consumers need.
	Reload(ctx context.Context, r ReloadRequest) error
}

// ReloadRequest says which version consumers should switch to. It carries no value.
type ReloadRequest struct {
	Secret  string
	Version string
}

// Check is the user's own test of a new credential: a bucket that must be
// reachable, a query that must run.
type Check interface {
	Name() string
	// Check uses the credential once. Errors are classified like an
	// issuer's.
	Check(ctx context.Context, c Credential) error
}

// Notifier gets notified of what happened.
type Notifier interface {
	// Name is unique among a secret's notifiers, and stable: unsent events are
	// kept under it.
	Name() string
	// Notify sends one event. It may be called again with the same event (same
	// ID) after a failure, and concurrently. Errors are classified like an
	// issuer's; whatever their class, it's called again.
	Notify(ctx context.Context, e Event) error
}

// Chooser is implemented by notifiers that don't want every event.
type Chooser interface {
	Wants(k EventKind) bool
}
