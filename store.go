package rota

import (
	"context"
	"time"
)

// Store is the place of record: versions of one secret with their labels. A
// Store is bound to one secret.
//
// A label is on one version at most. All methods may be called at the same
// time from several goroutines and honour the context's deadline. What a
// method reported as done is durable.
//
// Who holds the secret's lease reads its own writes, and those of the holders
// before it: what Put or Move reported as done, Describe and Get show from then
// on. The heart plans its next step on that. A store whose reads can lag (as
// Secrets Manager's may, for moments) keeps a stale answer harmless: Put of an
// id that it has, and Move to where the label is, are no errors, and Move
// compares on the server, so that a step planned on what was before is done a
// second time without effect or is [ErrConflict], and never takes a label from
// a version that the answer did not show. ChangedAt may be late, never early.
type Store interface {
	// Describe lists the versions that carry a label. A secret that does not
	// exist yet has no versions and is no error.
	Describe(ctx context.Context) (Contents, error)

	// Get reads the credential of one version. A version that does not exist,
	// or has no value yet, is [ErrNotFound].
	Get(ctx context.Context, r GetRequest) (Credential, error)

	// Put stores a new version and puts the labels on it, [LabelPending] as a rule,
	// taking them off the versions that had them; it never promotes unless
	// [LabelCurrent] is among them. The same id with the same credential is no
	// error; with another credential it is [ErrConflict].
	Put(ctx context.Context, r PutRequest) error

	// Move moves a label from one version to another by compare-and-swap: it
	// is [ErrConflict] unless From carries it ("" for no version), and no error
	// if To carries it already. To "" takes the label off. Moving [LabelCurrent]
	// moves [LabelPrevious] to the version that had been current.
	Move(ctx context.Context, r MoveRequest) error
}

// Contents is what a store holds of a secret.
type Contents struct {
	Versions []Version `json:"versions"`
	// ChangedAt is when anything of the secret last changed, moving a label
	// included; zero where the secret does not exist.
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
