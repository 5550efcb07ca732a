package rota

import "time"

// Step is one of the eight steps of a credential's way, or a rollback.
type Step string

// The steps, in the order of a credential's way.
const (
	Create     Step = "create"
	Set        Step = "set"
	Test       Step = "test"
	Promote    Step = "promote"
	Deliver    Step = "deliver"
	Reload     Step = "reload"
	Deactivate Step = "deactivate"
	Delete     Step = "delete"

	// Rollback puts the previous credential back in the place of the current.
	Rollback Step = "rollback"
	// None: nothing to do now.
	None Step = ""
)

// EventKind is what happened to a secret.
type EventKind string

// The kinds of events.
const (
	Rotated       EventKind = "rotated"
	WasAdopted    EventKind = "adopted"
	IsDeactivated EventKind = "deactivated"
	IsDeleted     EventKind = "deleted"
	Discarded     EventKind = "discarded" // a new credential was given up, or an orphan removed
	Held          EventKind = "held"      // due, but may not be done; Reason says why
	Failed        EventKind = "failed"
	RolledBack    EventKind = "rolled back"
	Late          EventKind = "late"

	WasQuarantined EventKind = "quarantined"   // given up after the last retry
	Recovered      EventKind = "recovered"     // what was held, failed, late or quarantined is well again
	ExpiringSoon   EventKind = "expiring soon" // the credential ends by itself
	Reminder       EventKind = "reminder"      // a person has to rotate it
	Digest         EventKind = "digest"        // several events in one message
)

// EventKinds are all kinds that a notifier can be told to hear of.
var EventKinds = []EventKind{
	Rotated, WasAdopted, IsDeactivated, IsDeleted, Discarded, Held, Failed, WasQuarantined, Recovered, RolledBack, Late, ExpiringSoon, Reminder,
}

// Event is what notifiers hear. It holds no value.
type Event struct {
	ID         string    `json:"id"`
	Kind       EventKind `json:"kind"`
	Secret     string    `json:"secret"`
	Version    string    `json:"version,omitempty"`
	Credential string    `json:"credential,omitempty"` // the issuer's public name
	At         time.Time `json:"at"`
	Reason     string    `json:"reason"` // one sentence for people
	// Events are those of a digest, in the order in which they happened.
	Events []Event `json:"events,omitempty"`
}

// Outcome tells how an effect went.
type Outcome string

// The outcomes of an audit entry. Begun is written before the effect.
const (
	Begun     Outcome = "begun"
	Succeeded Outcome = "ok"
	Erred     Outcome = "failed"
	Denied    Outcome = "denied"
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
