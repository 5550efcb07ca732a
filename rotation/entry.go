package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// Outcome tells how an effect went.
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
	Step       string    `json:"step"`             // a Step, or another act such as "adopt", "get", "notify"
	Object     string    `json:"object,omitempty"` // the target, reloader or notifier concerned
	Version    string    `json:"version,omitempty"`
	Credential string    `json:"credential,omitempty"`
	Outcome    Outcome   `json:"outcome"`
	Detail     string    `json:"detail,omitempty"`
}

// Steps of a turn that are none of a credential's way.
const (
	// StepObserve is the name under which a failure to look at the outside is
	// kept.
	StepObserve rota.Step = "observe"
	// StepAdopt takes over a credential that somebody else made.
	StepAdopt rota.Step = "adopt"
	// StepDone notes that a person has rotated what no program can.
	StepDone rota.Step = "done"
	// StepNotify sends an event to a notifier.
	StepNotify rota.Step = "notify"
)
