package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// Outcome is the result of an operation.
type Outcome string

// The outcomes of an audit entry. OutcomeBegun is written before the operation.
// OutcomeInterrupted is written by whoever goes on after the process that began
// it died: whether it took effect follows from what is done next.
const (
	OutcomeBegun       Outcome = "begun"
	OutcomeSucceeded   Outcome = "ok"
	OutcomeFailed      Outcome = "failed"
	OutcomeDenied      Outcome = "denied"
	OutcomeInterrupted Outcome = "interrupted"
)

// Entry is one entry of the audit log: who did what to which secret, and with
// what result. It never contains a secret's value.
type Entry struct {
	At         time.Time `json:"at"`
	Actor      string    `json:"actor"`
	From       string    `json:"from,omitempty"` // the caller's address, if the request came over the network
	Secret     string    `json:"secret"`
	Step       string    `json:"step"`             // a [rota.Step], or an operation such as [OpGet]
	Object     string    `json:"object,omitempty"` // the target, reloader or notifier concerned
	Version    string    `json:"version,omitempty"`
	Credential string    `json:"credential,omitempty"`
	Outcome    Outcome   `json:"outcome"`
	Detail     string    `json:"detail,omitempty"`
}

// Steps of a turn that aren't part of a credential's life.
const (
	// StepObserve is the observation of the outside systems that comes before
	// any step. It's recorded if it fails.
	StepObserve rota.Step = "observe"
	// StepAdopt takes over a credential that Rota didn't make.
	StepAdopt rota.Step = "adopt"
	// StepDone records that a person rotated a credential that only a person can
	// rotate.
	StepDone rota.Step = "done"
	// StepNotify sends an event to a notifier.
	StepNotify rota.Step = "notify"
)
