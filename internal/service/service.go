// Package service is everything people and pipelines can ask Rota to do,
// through the command line on the same machine, the REST API, or the command
// line with --server, which uses that API.
//
// Every operation returns documents that say what it did. None contains a
// value, except [api.GetDoc].
package service

import (
	"context"

	"github.com/rota-dev/rota/api"
)

// Operations is what Rota can be asked to do. [Local] carries it out;
// package server/rest serves it over HTTP to [api.Client].
//
// Names that aren't configured are a [*UsageError] before anything is done. A
// caller who may not do one of the things requested gets access.ErrDenied, and
// nothing is done at all. From a server these are [api.ErrUsage] and
// [api.ErrDenied].
type Operations interface {
	// Secrets says what rotating each named secret would do; all if none is
	// named.
	Secrets(ctx context.Context, names []string) (api.SecretsDoc, error)
	// Status returns the state of secrets as of the last look.
	Status(ctx context.Context, r api.StatusRequest) (api.StatusDoc, error)
	// Plan looks at the systems and says what will happen, when and why.
	Plan(ctx context.Context, r api.PlanRequest) (api.PlanDoc, error)
	// Check asks the real systems whether a rotation would work.
	Check(ctx context.Context, names []string) (api.CheckDoc, error)

	// Work does one thing to the named secrets now, several at once. A failure
	// of one stops no other and is in its document.
	Work(ctx context.Context, r api.WorkRequest) (api.WorkDoc, error)
	// Run does all that is due, once.
	Run(ctx context.Context, r api.RunRequest) (api.WorkDoc, error)
	// Adopt takes over an existing credential without rotating it.
	Adopt(ctx context.Context, r api.AdoptRequest) (api.WorkDoc, error)
	// Control pauses, resumes, or records that a person has rotated it.
	Control(ctx context.Context, r api.ControlRequest) (api.ControlDoc, error)
	// Alert notifies about overdue rotations.
	Alert(ctx context.Context) (api.AlertDoc, error)

	// Versions lists a secret's versions, without values.
	Versions(ctx context.Context, name string) (api.VersionsDoc, error)
	// Current returns a secret's current version.
	Current(ctx context.Context, name string) (api.CurrentDoc, error)
	// Get returns a value, once the read has been audited.
	Get(ctx context.Context, r api.GetRequest) (api.GetDoc, error)
	// Report records which versions an instance holds.
	Report(ctx context.Context, r api.ReportRequest) (api.ReportDoc, error)
	// Holders says who holds which version of a secret, as instances reported.
	Holders(ctx context.Context, name string) (api.HoldersDoc, error)
	// Forget drops what instances reported that are gone for good.
	Forget(ctx context.Context, r api.ForgetRequest) (api.ForgetDoc, error)
	// History returns the newest matching entries of the audit, in order.
	History(ctx context.Context, r api.HistoryRequest) (api.HistoryDoc, error)
	// Verify recomputes the audit's chain.
	Verify(ctx context.Context) (api.VerifyDoc, error)
}

var _ Operations = (*api.Client)(nil)

// UsageError is the caller's error: nothing was done.
type UsageError struct {
	Err      error
	NoSecret bool // a name isn't configured
}

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
