package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// Decision is what to do now, or when to look again, and why.
type Decision struct {
	// Step is what to do now; [rota.StepNone] to wait.
	Step rota.Step `json:"step,omitempty"`
	// Version is the version that Step applies to, and Credential the issuer's
	// name for its credential. An orphan has no version.
	Version    string `json:"version,omitempty"`
	Credential string `json:"credential,omitempty"`
	// Reason is one sentence for people.
	Reason string `json:"reason"`
	// Remedies are what a person can do to end a hold, the recommended one
	// first. There are none if it just takes time.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
	// Due is when Step or Next became or will become due; zero for never.
	Due time.Time `json:"due,omitzero"`
	// At is when to look again if there's no Step. Zero means never, because
	// time won't change this decision. (In [Progress].NextAt, by contrast, zero
	// means immediately.)
	At time.Time `json:"at,omitzero"`
	// Next is the step being waited for if there's no Step.
	Next rota.Step `json:"next,omitempty"`
	// Hold, if set, means that Next is due but blocked, and why.
	Hold HoldKind `json:"hold,omitempty"`
	// Unfinished means that Next was begun and interrupted: nobody knows yet what
	// the call did, and consumers may be without a credential.
	Unfinished bool `json:"unfinished,omitempty"`
	// Observe asks for the issuer's list, which is needed to decide.
	Observe bool `json:"observe,omitempty"`
	// Prove asks whether the steps after Next, which can't be undone, would
	// succeed. That's needed to decide.
	Prove bool `json:"-"`
	// Tell asks whether the current credential is in force. That's needed to
	// decide.
	Tell bool `json:"-"`
	// FindHolders asks who still holds the previous credential. That's needed to
	// decide.
	FindHolders bool `json:"-"`
	// CountInstances asks what instances report that they hold. That's needed to
	// decide.
	CountInstances bool `json:"-"`
}

// HoldKind is why something that is due is blocked.
type HoldKind string

// The kinds of holds.
const (
	HoldNone          HoldKind = ""
	HoldNotAdopted    HoldKind = "not adopted"
	HoldNeverIssued   HoldKind = "never issued"
	HoldForeignChange HoldKind = "changed by someone else"
	HoldInUse         HoldKind = "previous in use"
	HoldStillActive   HoldKind = "previous still active"
	HoldNoFreeSlot    HoldKind = "no free place"
	HoldNotAtIssuer   HoldKind = "current not active at the issuer"
	HoldRolledBack    HoldKind = "rolled back"
	HoldRetrying      HoldKind = "waiting to try again"
	HoldQuarantined   HoldKind = "quarantined" // given up after the last retry, until a person resumes it or the configuration changes
	HoldPaused        HoldKind = "paused"
	HoldFrozen        HoldKind = "frozen"
	HoldManual        HoldKind = "to be rotated by a person"
	HoldOutdated      HoldKind = "restored from an old backup"
	HoldRival         HoldKind = "claimed by another secret"
	HoldNotReady      HoldKind = "not ready"
	HoldDrifted       HoldKind = "current not in force"
	HoldUnverified    HoldKind = "current not verified" // nobody would hear that it isn't in force
)
