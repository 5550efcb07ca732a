// Package service is all that people and pipelines can ask of Rota, whichever
// way they ask: the command line on the same machine, the REST API, and the
// command line with --server, which speaks to that API.
//
// Every operation says in its documents what it did and never holds a value,
// but for [GetDoc].
package service

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
)

// Operations is what can be asked. [Local] carries them out; package
// server/api offers them over HTTP, and its client asks for them there.
//
// Names that are not configured are a [*UsageError] before anything is done. A
// caller who may not do one of the things asked for gets an error that is
// access.ErrDenied, and nothing is done at all.
type Operations interface {
	// Secrets tells what rotating each named secret would mean; all where none
	// is named.
	Secrets(ctx context.Context, names []string) (SecretsDoc, error)
	// Status tells how secrets stand, as the last look found them.
	Status(ctx context.Context, r StatusRequest) (StatusDoc, error)
	// Plan looks at the systems and says what would happen, when and why.
	Plan(ctx context.Context, r PlanRequest) (PlanDoc, error)
	// Check asks the real systems whether a rotation would work.
	Check(ctx context.Context, names []string) (CheckDoc, error)

	// Work does one thing to the named secrets now, several at once; a failure
	// of one stops no other and stands in its document.
	Work(ctx context.Context, r WorkRequest) (WorkDoc, error)
	// Run does all that is due, once.
	Run(ctx context.Context, r RunRequest) (WorkDoc, error)
	// Adopt takes over an existing credential without rotating it.
	Adopt(ctx context.Context, r AdoptRequest) (WorkDoc, error)
	// Control pauses, resumes, or notes that a person has done it.
	Control(ctx context.Context, r ControlRequest) (ControlDoc, error)
	// Alert tells the notifiers of what is late.
	Alert(ctx context.Context) (AlertDoc, error)

	// Versions tells a secret's versions, without their values.
	Versions(ctx context.Context, name string) (VersionsDoc, error)
	// Current tells a secret's current version.
	Current(ctx context.Context, name string) (CurrentDoc, error)
	// Get shows a value, once who asked is in the audit.
	Get(ctx context.Context, r GetRequest) (GetDoc, error)
	// History gives entries of the audit, the newest of those that match, in
	// order.
	History(ctx context.Context, r HistoryRequest) (HistoryDoc, error)
	// Verify recomputes the audit's chain.
	Verify(ctx context.Context) (VerifyDoc, error)
}

// Operation is what [Operations.Work] does.
type Operation string

// The operations on one secret.
const (
	OpRotate     Operation = "rotate"
	OpRollback   Operation = "rollback"
	OpDeliver    Operation = "deliver"
	OpDeactivate Operation = "deactivate"
	OpDelete     Operation = "delete"
)

// WorkRequest asks for one operation on secrets, one at least.
type WorkRequest struct {
	Operation Operation `json:"operation"`
	Secrets   []string  `json:"secrets"`
	// NoWait gives up at once where another worker is at a secret, instead of
	// waiting until its lease ends.
	NoWait bool `json:"no_wait,omitempty"`
}

// RunRequest asks for all that is due.
type RunRequest struct {
	All bool `json:"all,omitempty"` // look at every secret, due or not
}

// AdoptRequest hands over a credential. Without Fields it is the store's
// AWSCURRENT that is taken over.
type AdoptRequest struct {
	Secret    string            `json:"secret"`
	Fields    map[string]string `json:"fields,omitempty"`
	NotBefore time.Time         `json:"not_before,omitzero"` // no rotation before
	NoWait    bool              `json:"no_wait,omitempty"`
}

// ControlAction is what [Operations.Control] does.
type ControlAction string

// The controls. Freeze and Thaw concern all secrets, and Reload the
// configuration.
const (
	Pause  ControlAction = "pause"
	Resume ControlAction = "resume" // lifts a pause, and a quarantine
	Done   ControlAction = "done"   // a person has rotated it
	Freeze ControlAction = "freeze"
	Thaw   ControlAction = "thaw"
	Reload ControlAction = "reload"
)

// ControlRequest asks for a control of the named secrets, none for Freeze, Thaw
// and Reload.
type ControlRequest struct {
	Action  ControlAction `json:"action"`
	Secrets []string      `json:"secrets,omitempty"`
	Reason  string        `json:"reason,omitempty"` // for people, in status and audit
}

// StatusRequest selects secrets; all where none is named.
type StatusRequest struct {
	Names []string `json:"names,omitempty"`
	After string   `json:"after,omitempty"` // those whose names come after
	Limit int      `json:"limit,omitempty"` // at most so many; 0 for all
}

// PlanRequest says how far to look; a zero Until is up to the next step.
type PlanRequest struct {
	Names []string  `json:"names,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// GetRequest names a version by its id or label; AWSCURRENT where neither is
// given. Field asks for one field alone.
type GetRequest struct {
	Secret  string     `json:"secret"`
	Field   string     `json:"field,omitempty"`
	Label   rota.Label `json:"label,omitempty"`
	Version string     `json:"version,omitempty"`
}

// HistoryRequest selects entries of the audit.
type HistoryRequest struct {
	Secret string `json:"secret,omitempty"` // "" for all
	After  int64  `json:"after,omitempty"`  // only entries with a higher number
	Before int64  `json:"before,omitempty"` // only entries with a lower number; 0 for no bound
	Limit  int    `json:"limit,omitempty"`  // defaults to 100
	Oldest bool   `json:"oldest,omitempty"` // the oldest of those that match, not the newest
}

// UsageError is an error of the caller's: nothing was done.
type UsageError struct {
	Err      error
	NoSecret bool // a name is none of the configuration's
}

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
