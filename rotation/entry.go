package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// Outcome is how an effect went.
type Outcome string

// The outcomes of an audit entry. Begun is written before the effect.
const (
	OutcomeBegun     Outcome = "begun"
	OutcomeSucceeded Outcome = "ok"
	OutcomeFailed    Outcome = "failed"
	OutcomeDenied    Outcome = "denied"
)

// Entry is one entry of the audit: who did what to which secret, and how it
// went. It holds no value.
type Entry struct {
	At         time.Time `json:"at"`
	Actor      string    `json:"actor"`
	From       string    `json:"from,omitempty"` // the address that asked, where it came over the network
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
	// StepObserve stands for the look outside before any step, when that fails.
	StepObserve rota.Step = "observe"
	// StepAdopt takes over a credential that Rota didn't make.
	StepAdopt rota.Step = "adopt"
	// StepDone notes that a person rotated what no program can.
	StepDone rota.Step = "done"
	// StepNotify sends an event to a notifier.
	StepNotify rota.Step = "notify"
)
