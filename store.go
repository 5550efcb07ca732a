package rota

import (
	"context"
	"time"
)

// Store is the system of record: it keeps the versions of one secret and their
// labels. A Store is bound to one secret.
//
// A label is on at most one version. All methods must be safe to call
// concurrently and honor the context's deadline. Once a method has returned
// without an error, its effect is durable.
//
// The holder of the secret's lease must read its own writes and those of earlier
// holders: once Put or Move has returned, Describe and Get show its effect. The
// planner relies on that. A store whose reads can briefly lag, like Secrets
// Manager's, must keep stale reads harmless. Put of an existing id and Move to
// where the label already is aren't errors, and Move compares on the server. So
// a step planned on stale state either has no further effect or returns
// [ErrConflict], and never takes a label from a version that Describe didn't
// show. ChangedAt can be late, never early.
type Store interface {
	// Describe lists the versions that carry a label. A secret that doesn't
	// exist yet has no versions, which isn't an error.
	Describe(ctx context.Context) (Contents, error)

	// Get returns the credential of one version. If the version doesn't exist
	// or has no value yet, it returns [ErrNotFound].
	Get(ctx context.Context, r GetRequest) (Credential, error)

	// Put stores a new version and puts the labels on it, usually [LabelPending],
	// removing them from the versions that had them. It never promotes unless
	// [LabelCurrent] is among them. Putting the same id again isn't an error if
	// the credential is the same; if it's different, Put returns [ErrConflict].
	Put(ctx context.Context, r PutRequest) error

	// Move moves a label from one version to another by compare-and-swap: it
	// returns [ErrConflict] unless From carries the label ("" if no version
	// does). It's not an error if To already carries it. If To is "", the label
	// is removed. Moving [LabelCurrent] also moves [LabelPrevious] to the
	// version that was current, and takes [LabelPending] off it: what has been
	// replaced must not be taken for a new credential.
	Move(ctx context.Context, r MoveRequest) error
}

// Contents is what a store holds about a secret.
type Contents struct {
	Versions []Version `json:"versions"`
	// ChangedAt is when anything about the secret last changed, including a
	// label; zero if the secret doesn't exist.
	ChangedAt time.Time `json:"changed_at,omitzero"`
}

// GetRequest names a version.
type GetRequest struct{ Version string }

// PutRequest is a version to store.
type PutRequest struct {
	Version    string
	Credential Credential
	Labels     []Label
}

// MoveRequest is one compare-and-swap of a label. "" means no version.
type MoveRequest struct {
	Label    Label
	From, To string
}
