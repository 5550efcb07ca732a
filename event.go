package rota

import "time"

// Step is one of the eight steps in a credential's life, a renewal, or a rollback.
type Step string

// The steps, in the order of a credential's life.
const (
	StepCreate     Step = "create"
	StepSet        Step = "set"
	StepTest       Step = "test"
	StepPromote    Step = "promote"
	StepDeliver    Step = "deliver"
	StepReload     Step = "reload"
	StepDeactivate Step = "deactivate"
	StepDelete     Step = "delete"

	// StepRenew extends the life of a credential that ends soon unless it's renewed,
	// as long as it's in use.
	StepRenew Step = "renew"
	// StepRollback makes the previous credential current again.
	StepRollback Step = "rollback"
	// StepNone means that there's nothing to do now.
	StepNone Step = ""
)

// EventKind is what happened to a secret.
type EventKind string

// The kinds of events.
const (
	EventRotated     EventKind = "rotated"
	EventAdopted     EventKind = "adopted"
	EventDeactivated EventKind = "deactivated"
	EventDeleted     EventKind = "deleted"
	EventDiscarded   EventKind = "discarded" // a new credential was discarded, or an orphan removed
	EventHeld        EventKind = "held"      // due, but blocked; Reason says why
	EventFailed      EventKind = "failed"
	EventRolledBack  EventKind = "rolled back"
	EventLate        EventKind = "late"

	EventQuarantined EventKind = "quarantined"   // given up after the last retry
	EventRecovered   EventKind = "recovered"     // something held, failed, late or quarantined has recovered
	EventExpiring    EventKind = "expiring soon" // the credential expires
	EventReminder    EventKind = "reminder"      // a person has to rotate it
	EventDigest      EventKind = "digest"        // several events in one message
)

// EventKinds lists every kind that a notifier can subscribe to.
var EventKinds = []EventKind{
	EventRotated, EventAdopted, EventDeactivated, EventDeleted, EventDiscarded, EventHeld, EventFailed, EventQuarantined, EventRecovered, EventRolledBack, EventLate, EventExpiring, EventReminder,
}

// Event is what a [Notifier] receives. It never contains a secret's value.
type Event struct {
	ID         string    `json:"id"`
	Kind       EventKind `json:"kind"`
	Secret     string    `json:"secret"`
	Version    string    `json:"version,omitempty"`
	Credential string    `json:"credential,omitempty"` // the issuer's public name
	At         time.Time `json:"at"`
	Reason     string    `json:"reason"` // one sentence for people
	// Remedies are what a person can do about it, the recommended one first.
	Remedies []Remedy `json:"remedies,omitempty"`
	// Events are the events of a digest, in the order they happened.
	Events []Event `json:"events,omitempty"`
}
