package rotation

import (
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// Progress is what Rota remembers about a secret between steps. It isn't the
// source of truth: what the store and the issuer say takes precedence, and a lost
// Progress is rebuilt from them.
type Progress struct {
	// Versions records what was done for each version that the store still has.
	Versions map[string]VersionProgress `json:"versions,omitempty"`
	// Intents are calls to Create, of an issuer that chooses the value, whose
	// effects might still show up.
	Intents []Intent `json:"intents,omitempty"`
	// Failure is the last failure of the current step, or of the observation
	// that comes before any step; nil after a success. While it's the failure of
	// an observation, StepFailure keeps the step's.
	Failure     *Failure `json:"failure,omitempty"`
	StepFailure *Failure `json:"behind,omitempty"`
	// Rollback is the rollback in progress, nil if there is none.
	Rollback *RollbackIntent `json:"rollback,omitempty"`
	// Rejections counts the new credentials given up since the last promotion,
	// the last of them at RejectedAt.
	Rejections int       `json:"rejections,omitempty"`
	RejectedAt time.Time `json:"rejected_at,omitzero"`
	// RejectedFor are the remedies for the reason the last one was given up.
	RejectedFor []rota.Remedy `json:"rejected_for,omitempty"`
	// RejectedWhy is that reason.
	RejectedWhy string `json:"rejected_why,omitempty"`
	// RolledBackAt is when the last rotation was undone. Nothing rotates by itself
	// until a person starts the next one.
	RolledBackAt time.Time `json:"rolled_back_at,omitzero"`
	// DoneAt is when a person last reported having rotated it, for secrets that
	// only a person can rotate. RemindedAt is when they were last reminded.
	DoneAt     time.Time `json:"done_at,omitzero"`
	RemindedAt time.Time `json:"reminded_at,omitzero"`
	// ExpiryNotified is the last expiry date that notifiers were warned of.
	ExpiryNotified time.Time `json:"expiry_notified,omitzero"`
	// ComparedAt is when the store was last compared with the issuer after being
	// restored.
	ComparedAt time.Time `json:"compared_at,omitzero"`
	// WentBackAt is when the store, which isn't the journal's own, was found to have
	// been put back to an older state.
	WentBackAt time.Time `json:"went_back_at,omitzero"`
	// InForce is the last answer to whether the current credential is in force.
	InForce InForce `json:"in_force,omitzero"`
	// Requested is the request for a new credential that hasn't been made yet,
	// nil if there is none.
	Requested *RotationRequest `json:"asked,omitempty"`
	// NotBefore postpones the next rotation.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Held is the last hold that notifiers were told about.
	Held HoldKind `json:"held,omitempty"`
	// Trouble is the kind of the last event about trouble that isn't over yet.
	Trouble rota.EventKind `json:"trouble,omitempty"`
	// LateNotified is the due date of the last lateness that notifiers were told
	// about.
	LateNotified time.Time `json:"late_notified,omitzero"`
	// Unsent are events that their notifiers haven't accepted yet.
	Unsent []Unsent `json:"unsent,omitempty"`
	// NextAt is when to look at the secret again. Zero means at the next
	// opportunity, because it has never had a turn, a turn began and never
	// finished, or something new was requested. (In [Decision].At, by contrast,
	// zero means that time won't change the decision. An outside change might,
	// so Rota looks once a day.)
	NextAt time.Time `json:"next_at,omitzero"`
	// InFlight are the effects whose outcome isn't known yet. A turn that finds
	// any follows one that died.
	InFlight []Effect `json:"in_flight,omitempty"`
	// Status is a copy of what the last look found, for tables.
	Status Status `json:"status,omitzero"`
}

// Effect is one thing that a step does outside.
type Effect struct {
	Step       rota.Step `json:"step"`
	Object     string    `json:"object,omitempty"` // the target or reloader concerned
	Version    string    `json:"version,omitempty"`
	Credential string    `json:"credential,omitempty"`
}

// liftRejections clears the record of new credentials given up.
func (p *Progress) liftRejections() {
	p.Rejections, p.RejectedAt, p.RejectedFor, p.RejectedWhy = 0, time.Time{}, nil, ""
}

// stepFailure returns the failure of the current step, nil if there is none.
// Failing to observe the outside systems isn't a failure of a step.
func (p Progress) stepFailure() *Failure {
	if p.Failure != nil && p.Failure.Step == StepObserve {
		return p.StepFailure
	}
	return p.Failure
}

// VersionProgress is what was done for one version.
type VersionProgress struct {
	CredentialID  string               `json:"credential_id,omitempty"`
	ExpiresAt     time.Time            `json:"expires_at,omitzero"` // when it expires
	EndsAt        time.Time            `json:"ends_at,omitzero"`    // when the issuer ends it by itself, as its list last said
	EarlyFor      time.Time            `json:"early_for,omitzero"`  // when the one before ends, if this one was made early for that
	Revoked       string               `json:"revoked,omitempty"`   // the credential that this one was made for, because somebody had revoked it
	Base          string               `json:"base,omitempty"`      // the version that was current when this one was put
	Asked         bool                 `json:"asked,omitempty"`     // a person asked for it
	SetBegunAt    time.Time            `json:"set_begun_at,omitzero"`
	SetAt         time.Time            `json:"set_at,omitzero"`
	TestedAt      time.Time            `json:"tested_at,omitzero"`
	PromotedAt    time.Time            `json:"promoted_at,omitzero"`
	Delivered     map[string]time.Time `json:"delivered,omitempty"`
	Reloaded      map[string]time.Time `json:"reloaded,omitempty"`
	ServedAt      time.Time            `json:"served_at,omitzero"`
	PutBackAt     time.Time            `json:"put_back_at,omitzero"` // when somebody made it current again, behind Rota's back
	DeactivatedAt time.Time            `json:"deactivated_at,omitzero"`
	ActiveAt      time.Time            `json:"active_at,omitzero"` // when it was first seen active again after that
	Rejected      string               `json:"rejected,omitempty"` // why it was given up before promotion
	Renewed       Renewed              `json:"renewed,omitzero"`
	RestoredAt    time.Time            `json:"restored_at,omitzero"`    // when the current credential was in force again after a rejection
	QuietSince    time.Time            `json:"quiet_since,omitzero"`    // sampled evidence: first look without use
	QuietSamples  int                  `json:"quiet_samples,omitempty"` // looks without use since
}

// Renewed is how long a credential lasts that ends soon unless it's renewed. The zero
// value means that nobody knows, so it's renewed at once.
type Renewed struct {
	At    time.Time `json:"at,omitzero"`    // when it was last renewed
	Until time.Time `json:"until,omitzero"` // when it ends unless it's renewed again
	// Last means that the issuer doesn't extend it any further, or doesn't have it
	// anymore: it ends at Until.
	Last bool `json:"last,omitempty"`
	// Final means that it was renewed for the last time because the store drops its
	// version.
	Final bool `json:"final,omitempty"`
	// Attempts counts the failures since it was last renewed, and RetryAt is when it's
	// tried again. Error and Remedies are those of the last failure.
	Attempts int           `json:"attempts,omitempty"`
	RetryAt  time.Time     `json:"retry_at,omitzero"`
	Error    string        `json:"error,omitempty"`
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

// touched reports whether the issuer may know the version's credential: it chose
// it, or setting it began.
func (vp VersionProgress) touched(t rota.Traits) bool {
	return t.IssuerChooses || !vp.SetBegunAt.IsZero()
}

// off notes since when the credential is deactivated; zero if it isn't.
func (vp *VersionProgress) off(since time.Time) { vp.DeactivatedAt, vp.ActiveAt = since, time.Time{} }

// inFlight reports whether this journal followed the version's rotation: what it
// lacks was done just now, and isn't a past that was lost.
func (vp VersionProgress) inFlight() bool { return !vp.TestedAt.IsZero() || !vp.PromotedAt.IsZero() }

// Intent is written before a call to Create whose answer may get lost.
type Intent struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"` // when the call returned, or its deadline if that isn't known
	Known   []string  `json:"known"` // the ids that the issuer listed before the call
	// Answer is the id of the credential that the store got, "" if the answer was
	// lost. A request may have arrived twice, so what else bears the version's mark
	// is a second one, whose value nobody has.
	Answer string `json:"answer,omitempty"`
}

// Covers reports whether a credential that the issuer lists may be a trace of the
// intent's call: it wasn't there before, and was created while the call was
// running. Clocks may differ by two minutes.
func (i Intent) Covers(issued rota.Issued) bool {
	const skew = 2 * time.Minute
	return !slices.Contains(i.Known, issued.ID) &&
		!issued.CreatedAt.Before(i.At.Add(-skew)) && !issued.CreatedAt.After(i.Until.Add(skew))
}

// RollbackIntent is a rollback under way.
type RollbackIntent struct {
	From string    `json:"from"` // the version that was current
	To   string    `json:"to"`   // the version to be current again
	At   time.Time `json:"at"`
	// SetBegunAt is when the credential of To may have taken the place of the one
	// in use, where there's no overlap.
	SetBegunAt time.Time `json:"set_begun_at,omitzero"`
	// Rejected is why it can't, "" as long as it may. The current credential is put
	// back then.
	Rejected string `json:"rejected,omitempty"`
}

// Failure is a step that failed, and when it may be tried again.
type Failure struct {
	Step     rota.Step  `json:"step"`
	Class    rota.Class `json:"class"`
	Error    string     `json:"error"`
	At       time.Time  `json:"at"`
	Attempts int        `json:"attempts"`
	RetryAt  time.Time  `json:"retry_at"`
	// Refused tells that the issuer refused the current credential as well.
	Refused bool `json:"refused,omitempty"`
	// Remedies are what a person can do about it.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

// Unsent is an event on its way to one notifier.
type Unsent struct {
	Notifier string     `json:"notifier"`
	Event    rota.Event `json:"event"`
	Attempts int        `json:"attempts"`
	RetryAt  time.Time  `json:"retry_at,omitzero"` // not before
}

// Status is what the last look at a secret found.
type Status struct {
	LookedAt    time.Time `json:"looked_at,omitzero"`
	BegunAt     time.Time `json:"begun_at,omitzero"`    // when a turn began its first step, zero once a turn came to its end
	Version     string    `json:"version,omitempty"`    // the current version
	Credential  string    `json:"credential,omitempty"` // its issuer's name
	IssuedAt    time.Time `json:"issued_at,omitzero"`   // since when it exists
	ExpiresAt   time.Time `json:"expires_at,omitzero"`  // when it expires
	RenewAt     time.Time `json:"renew_at,omitzero"`    // when it or the previous one is renewed, so that it doesn't end before
	LastsUntil  time.Time `json:"lasts_until,omitzero"` // when that one ends unless it's renewed
	PreviousID  string    `json:"previous,omitempty"`   // the issuer's name of the previous one
	PreviousOff bool      `json:"previous_inactive,omitempty"`
	RotateAt    time.Time `json:"rotate_at,omitzero"`   // the next rotation by policy
	Next        rota.Step `json:"next,omitempty"`       // the step that is due or waited for
	DueAt       time.Time `json:"due_at,omitzero"`      // since when Next is due, or will be
	NextAt      time.Time `json:"next_at,omitzero"`     // when to look again, as [Decision].At: zero for never
	Hold        HoldKind  `json:"hold,omitempty"`       // why Next may not be done though it is due
	Unfinished  bool      `json:"unfinished,omitempty"` // Next was begun and interrupted
	Reason      string    `json:"reason,omitempty"`
	// Remedies are what a person can do about a hold or a failure.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}
