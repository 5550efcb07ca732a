package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// Decision is what is to be done now, or when to look again, and why.
type Decision struct {
	// Step is what to do now; None to wait.
	Step rota.Step `json:"step,omitempty"`
	// Version is the version concerned, Credential the issuer's name of its
	// credential. An orphan has no version.
	Version    string `json:"version,omitempty"`
	Credential string `json:"credential,omitempty"`
	// Reason is one sentence for people.
	Reason string `json:"reason"`
	// Remedies are what a person can do to end a hold, the recommended one
	// first; none where only time does.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
	// Due is since when Next, or Step, is due, or when it will be; zero for
	// never.
	Due time.Time `json:"due,omitzero"`
	// At is when to look again, where Step is None; zero for never: no date
	// changes this decision. ([Progress].NextAt is another thing: there zero is
	// at once.)
	At time.Time `json:"at,omitzero"`
	// Next is the step that is waited for, where Step is None.
	Next rota.Step `json:"next,omitempty"`
	// Hold tells that Next is due but may not be done, and why.
	Hold HoldKind `json:"hold,omitempty"`
	// Observe asks for the issuer's list, without which nothing can be
	// decided.
	Observe bool `json:"observe,omitempty"`
}

// HoldKind is why something that is due may not be done.
type HoldKind string

// The kinds of holds.
const (
	HoldNone          HoldKind = ""
	HoldNotAdopted    HoldKind = "not adopted"
	HoldNeverIssued   HoldKind = "never issued"
	HoldForeignChange HoldKind = "changed by somebody else"
	HoldInUse         HoldKind = "previous in use"
	HoldStillActive   HoldKind = "previous still active"
	HoldNoFreeSlot    HoldKind = "no free place"
	HoldNotAtIssuer   HoldKind = "current not active at the issuer"
	HoldRolledBack    HoldKind = "rolled back"
	HoldRetrying      HoldKind = "waiting to try again"
	HoldQuarantined   HoldKind = "quarantined" // given up after the last retry, until a person or a change of the configuration lifts it
	HoldPaused        HoldKind = "paused"
	HoldFrozen        HoldKind = "frozen"
	HoldManual        HoldKind = "to be rotated by a person"
	HoldOutdated      HoldKind = "restored from an old backup"
	HoldRival         HoldKind = "claimed by another secret"
)
