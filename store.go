package rota

import (
	"context"
	"time"
)

// Store is the system of record: the versions of one secret with their
// labels. A Store is bound to one secret.
//
// A label is on one version at most. All methods may be called concurrently
// and honor the context's deadline. Once a method has returned without an
// error, its effect is durable.
//
// The holder of the secret's lease reads its own writes and those of earlier
// holders: once Put or Move has returned, Describe and Get show its effect. The
// planner relies on that. A store whose reads can briefly lag, as Secrets
// Manager's may, keeps stale answers harmless. Put of an existing id and Move
// to where the label already is aren't errors, and Move compares on the server.
// So a step planned on stale state either has no further effect or is
// [ErrConflict], and never takes a label from a version that the answer didn't
// show. ChangedAt may be late, never early.
type Store interface {
	// Describe lists the versions that carry a label. A secret that doesn't
	// exist yet has no versions, which isn't an error.
	Describe(ctx context.Context) (Contents, error)

	// Get reads the credential of one version. A version that doesn't exist,
	// or has no value yet, is [ErrNotFound].
	Get(ctx context.Context, r GetRequest) (Credential, error)

	// Put stores a new version and puts the labels on it, usually [LabelPending],
	// removing them from the versions that had them; it never promotes unless
	// [LabelCurrent] is among them. The same id with the same credential isn't an
	// error; with a different credential it's [ErrConflict].
	Put(ctx context.Context, r PutRequest) error

	// Move moves a label from one version to another by compare-and-swap: it's
	// [ErrConflict] unless From carries it ("" for no version), and not an error
	// if To already carries it. If To is "", the label is removed. Moving
	// [LabelCurrent] also moves [LabelPrevious] to the version that was current.
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
