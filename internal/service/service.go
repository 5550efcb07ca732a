// Package service is all that people and pipelines can ask of Rota, whichever
// way they ask: the command line on the same machine, the REST API, and the
// command line with --server, which speaks to that API.
//
// Every operation says in its documents what it did and never holds a value,
// but for [api.GetDoc].
package service

import (
	"context"

	"github.com/rota-dev/rota/api"
)

// Operations is what can be asked. [Local] carries them out; package
// server/rest offers them over HTTP, and [api.Client] asks for them there.
//
// Names that are not configured are a [*UsageError] before anything is done. A
// caller who may not do one of the things asked for gets an error that is
// access.ErrDenied, and nothing is done at all. From a server these are
// [api.ErrUsage] and [api.ErrDenied].
type Operations interface {
	// Secrets tells what rotating each named secret would mean; all where none
	// is named.
	Secrets(ctx context.Context, names []string) (api.SecretsDoc, error)
	// Status tells how secrets stand, as the last look found them.
	Status(ctx context.Context, r api.StatusRequest) (api.StatusDoc, error)
	// Plan looks at the systems and says what would happen, when and why.
	Plan(ctx context.Context, r api.PlanRequest) (api.PlanDoc, error)
	// Check asks the real systems whether a rotation would work.
	Check(ctx context.Context, names []string) (api.CheckDoc, error)

	// Work does one thing to the named secrets now, several at once; a failure
	// of one stops no other and stands in its document.
	Work(ctx context.Context, r api.WorkRequest) (api.WorkDoc, error)
	// Run does all that is due, once.
	Run(ctx context.Context, r api.RunRequest) (api.WorkDoc, error)
	// Adopt takes over an existing credential without rotating it.
	Adopt(ctx context.Context, r api.AdoptRequest) (api.WorkDoc, error)
	// Control pauses, resumes, or notes that a person has done it.
	Control(ctx context.Context, r api.ControlRequest) (api.ControlDoc, error)
	// Alert tells the notifiers of what is late.
	Alert(ctx context.Context) (api.AlertDoc, error)

	// Versions tells a secret's versions, without their values.
	Versions(ctx context.Context, name string) (api.VersionsDoc, error)
	// Current tells a secret's current version.
	Current(ctx context.Context, name string) (api.CurrentDoc, error)
	// Get shows a value, once who asked is in the audit.
	Get(ctx context.Context, r api.GetRequest) (api.GetDoc, error)
	// History gives entries of the audit, the newest of those that match, in
	// order.
	History(ctx context.Context, r api.HistoryRequest) (api.HistoryDoc, error)
	// Verify recomputes the audit's chain.
	Verify(ctx context.Context) (api.VerifyDoc, error)
}

var _ Operations = (*api.Client)(nil)

// UsageError is an error of the caller's: nothing was done.
type UsageError struct {
	Err      error
	NoSecret bool // a name is none of the configuration's
}

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
