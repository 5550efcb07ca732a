package rota

import (
	"context"
	"time"
)

// Accepter is implemented by targets that can't take every credential, such as
// variables whose values have to be masked. It's asked before a rotation begins,
// so that no credential is made that couldn't be delivered.
type Accepter interface {
	// Accept returns nil if Deliver could write the credential, and otherwise why
	// not, with the class [ClassRegenerate] if another value might do. It calls
	// nothing outside. The credential may be one that was never in use.
	Accept(c Credential) error
}

// HolderReporter is implemented by targets and reloaders that can tell which of
// their consumers still hold an older value: jobs that started before the new one
// was in place, pods that haven't been replaced. The previous credential isn't
// retired while there are any.
type HolderReporter interface {
	// Holders lists consumers that may hold a value from before the request's
	// version. It may leave some out once it has found one, and returns none only if
	// there's none. An error counts as one that holds it. It changes nothing outside.
	Holders(ctx context.Context, r HoldersRequest) ([]Holder, error)
}

// HoldersRequest says which version consumers should hold by now.
type HoldersRequest struct {
	Secret  string
	Version string
	// Since is when the version was in place by Rota's clock: at the target itself,
	// or for a reloader at all targets. Whoever read the value later has it.
	Since time.Time
	// From and Credential are those of [ReloadRequest].
	From       time.Time
	Credential Credential
}

// Holder is a consumer that may hold an older value.
type Holder struct {
	// Name is what people call it, such as "pipeline 4711 of shop/api".
	Name string
	// Remedies are what a person can do to make it let go. A holder that lets go by
	// itself needs none.
	Remedies []Remedy
}
