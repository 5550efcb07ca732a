package api

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// The documents that the operations give: as JSON they are what --output json
// prints and what the API answers. Names are snake_case and stay; fields may
// be added. Times are RFC 3339. What has no value is left out.

// SecretsDoc tells what rotating secrets would mean.
type SecretsDoc struct {
	Secrets []SecretDoc `json:"secrets"`
}

// SecretDoc is one configured secret.
type SecretDoc struct {
	Secret    string `json:"secret"`
	Kind      string `json:"kind,omitempty"` // of credential, such as "IAM access key"
	Targets   int    `json:"targets"`
	Reloaders int    `json:"reloaders"`
	// Overlap tells that the previous credential stays valid beside the new
	// one, for GraceSeconds at least, or until the next rotation where that is
	// 0.
	Overlap      bool     `json:"overlap"`
	GraceSeconds int64    `json:"grace_seconds,omitempty"`
	Fields       []string `json:"fields,omitempty"` // that the issuer's credentials have
	Error        string   `json:"error,omitempty"`  // why it can't be worked on
	// Remedies are what a person can do about it, the recommended one first, and
	// Hint the same as text.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
	Hint     string        `json:"hint,omitempty"`
}

// CheckDoc is what a check found.
type CheckDoc struct {
	OK       bool         `json:"ok"`
	Failed   int          `json:"failed"`
	Warnings int          `json:"warnings"`
	Findings []FindingDoc `json:"findings"`
}

// FindingDoc is one check's answer. Secret is left out for what concerns all.
type FindingDoc struct {
	Secret string `json:"secret,omitempty"`
	rota.Finding
	Hint string `json:"hint,omitempty"` // the remedies, as text
}

// PlanDoc is what a plan foresees.
type PlanDoc struct {
	From    time.Time       `json:"from"`
	Until   time.Time       `json:"until,omitzero"` // left out where only the next step is shown
	Secrets []PlanSecretDoc `json:"secrets"`
}

// PlanSecretDoc is the plan of one secret.
type PlanSecretDoc struct {
	Secret string    `json:"secret"`
	Steps  []StepDoc `json:"steps"`
	Next   *StepDoc  `json:"next,omitempty"` // where no step lies before Until: the first after it
	Error  string    `json:"error,omitempty"`
	// Remedies are what a person can do about it, the recommended one first, and
	// Hint the same as text.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
	Hint     string        `json:"hint,omitempty"`
}

// StepDoc is a step that was done, or will be. With Hold, it is due but may
// not be done.
type StepDoc struct {
	At         time.Time         `json:"at,omitzero"`
	Step       rota.Step         `json:"step,omitempty"`
	Version    string            `json:"version,omitempty"`
	Credential string            `json:"credential,omitempty"`
	Hold       rotation.HoldKind `json:"hold,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	// Remedies are what a person can do about a hold or failure, the recommended
	// one first.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

// WorkDoc is what was done to secrets.
type WorkDoc struct {
	Secrets []WorkSecretDoc `json:"secrets"`
	NotDue  int             `json:"not_due"` // of run: those not looked at
	// Waiting are those of them that are still held or failed.
	Waiting []string `json:"waiting,omitempty"`
}

// WorkSecretDoc is what was done to one secret.
type WorkSecretDoc struct {
	Secret string            `json:"secret"`
	State  WorkState         `json:"state"`
	Done   []StepDoc         `json:"done"`
	Next   rota.Step         `json:"next,omitempty"`
	NextAt time.Time         `json:"next_at,omitzero"`
	Hold   rotation.HoldKind `json:"hold,omitempty"`
	Reason string            `json:"reason,omitempty"`
	// Remedies are what a person can do about a hold or failure, the recommended
	// one first.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
	Error    string        `json:"error,omitempty"`
	Hint     string        `json:"hint,omitempty"`
}

// WorkState is how it went for one secret.
type WorkState string

// The ways it can go.
const (
	WorkDone    WorkState = "done"    // steps were taken
	WorkNothing WorkState = "nothing" // nothing was to be done
	WorkHeld    WorkState = "held"    // due or asked for, but may not be done
	WorkFailed  WorkState = "failed"
	WorkBusy    WorkState = "busy"    // another worker holds it
	WorkSkipped WorkState = "skipped" // not begun, because a system it needs does not answer
)

// StatusDoc tells how secrets stand.
type StatusDoc struct {
	At      time.Time         `json:"at"`
	Secrets []StatusSecretDoc `json:"secrets"`
	// Unknown are secrets that the store remembers and the configuration does
	// not name.
	Unknown []string `json:"unknown"`
	// Frozen tells that nothing new begins, and why.
	Frozen string `json:"frozen,omitempty"`
	// Refused is why the newest edit of the configuration isn't in force.
	Refused *RefusedDoc `json:"refused,omitempty"`
	// Next is where the next page begins, as After; "" for the last page.
	Next string `json:"next,omitempty"`
}

// RefusedDoc is an edit of the configuration that was refused: the one before it
// is still in force.
type RefusedDoc struct {
	Since time.Time `json:"since"`
	Error string    `json:"error"` // one line for each mistake
}

// StatusSecretDoc tells how one secret stands.
type StatusSecretDoc struct {
	Secret string      `json:"secret"`
	Owner  string      `json:"owner,omitempty"` // who acts when no program can, as in rota.yaml
	State  SecretState `json:"state"`
	Reason string      `json:"reason,omitempty"`
	// Remedies are what a person can do about a hold or failure, the recommended
	// one first.
	Remedies   []rota.Remedy `json:"remedies,omitempty"`
	Credential string        `json:"credential,omitempty"`
	Version    string        `json:"version,omitempty"`
	IssuedAt   time.Time     `json:"issued_at,omitzero"`
	AgeSeconds int64         `json:"age_seconds,omitempty"`
	ExpiresAt  time.Time     `json:"expires_at,omitzero"` // when the credential ends by itself
	// RenewAt is when it or the previous one is renewed, so that it doesn't end before.
	RenewAt          time.Time         `json:"renew_at,omitzero"`
	Previous         string            `json:"previous,omitempty"`
	PreviousInactive bool              `json:"previous_inactive,omitempty"`
	Next             rota.Step         `json:"next,omitempty"`
	NextAt           time.Time         `json:"next_at,omitzero"` // when it is due
	Hold             rotation.HoldKind `json:"hold,omitempty"`
	LookedAt         time.Time         `json:"looked_at,omitzero"`
	BegunAt          time.Time         `json:"begun_at,omitzero"` // since when a turn is under way, or since when one never finished
	Worker           string            `json:"worker,omitempty"`  // who is at it now
	Paused           string            `json:"paused,omitempty"`  // by whom, since when and why
	// Instances is how often instances reported to hold a version of it, and Older
	// how often one that isn't the current version.
	Instances int `json:"instances,omitempty"`
	Older     int `json:"older,omitempty"`
}

// SecretState is how a secret stands.
type SecretState string

// The states, from the best to the worst.
const (
	StateOK          SecretState = "ok"
	StateDue         SecretState = "due"
	StatePaused      SecretState = "paused"
	StateHeld        SecretState = "held"
	StateLate        SecretState = "late"
	StateFailed      SecretState = "failed"
	StateQuarantined SecretState = "quarantined" // given up after the last retry
)

// HistoryDoc has entries of the audit.
type HistoryDoc struct {
	Entries []EntryDoc `json:"entries"`
	// Versions are, of a history without entries, the versions that the
	// secret's store has all the same; VersionsError is why they are not known.
	Versions      []VersionDoc `json:"versions,omitempty"`
	VersionsError string       `json:"versions_error,omitempty"`
	// Remedies are what a person can do about VersionsError.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

// EntryDoc is an entry with its place in the chain.
type EntryDoc struct {
	Seq int64 `json:"seq"`
	rotation.Entry
	Hash string `json:"hash"`
}

// VerifyDoc is what a verification found of an intact chain.
type VerifyDoc struct {
	Verified bool   `json:"verified"`
	Entries  int    `json:"entries"`
	Head     string `json:"head"`
	// Anchored is how many signed heads, kept outside, were found in the chain,
	// and Places where they are kept; those that give none back are left out.
	Anchored int      `json:"anchored,omitempty"`
	Places   []string `json:"places,omitempty"`
	// Breaks are the places where the chain was changed behind Rota's back, once
	// a person has acknowledged them. Others make the verification fail.
	Breaks []BreakDoc `json:"breaks,omitempty"`
}

// BreakDoc is a place where the audit was changed behind Rota's back.
type BreakDoc struct {
	Seq    int64     `json:"seq"` // of the first entry that's wrong
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"` // who acknowledged it, and when
	At     time.Time `json:"at"`
}

// VersionsDoc has the versions of a secret, and the issuer's credentials that
// none of them holds.
type VersionsDoc struct {
	Secret    string       `json:"secret"`
	ChangedAt time.Time    `json:"changed_at,omitzero"`
	Versions  []VersionDoc `json:"versions"`
	Elsewhere []IssuedDoc  `json:"elsewhere"`
	// Remedies are what leads to the first version, if there is none.
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

// VersionDoc is one version.
type VersionDoc struct {
	Version    string       `json:"version"`
	Labels     []rota.Label `json:"labels"`
	CreatedAt  time.Time    `json:"created_at"`
	Credential string       `json:"credential,omitempty"`
	// State is active, inactive, gone (not at the issuer) or unknown; replaced
	// where another version's password took its place at the same role, unset
	// where the password is not set there yet.
	State string `json:"state"`
	Use   string `json:"use,omitempty"`
	Ours  bool   `json:"ours"` // made or adopted by Rota
	// Adopted means that Rota took the credential over, and didn't make it.
	Adopted bool `json:"adopted,omitempty"`
}

// IssuedDoc is a credential at the issuer.
type IssuedDoc struct {
	Credential string    `json:"credential"`
	State      string    `json:"state"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	Use        string    `json:"use,omitempty"`
}

// CurrentDoc tells which version is current.
type CurrentDoc struct {
	Secret    string    `json:"secret"`
	Version   string    `json:"version"`
	ChangedAt time.Time `json:"changed_at,omitzero"` // when anything of the secret last changed
}

// GetDoc is the one document that holds values.
type GetDoc struct {
	Secret     string            `json:"secret"`
	Version    string            `json:"version"`
	Labels     []rota.Label      `json:"labels"`
	Credential string            `json:"credential,omitempty"`
	Fields     map[string]string `json:"fields"`
}

// AlertDoc is what an alert found.
type AlertDoc struct {
	Secrets int            `json:"secrets"` // asked about
	Late    []string       `json:"late"`
	Errors  []AlertFailure `json:"errors"`
}

// AlertFailure is a secret whose lateness could not be told.
type AlertFailure struct {
	Secret   string        `json:"secret"`
	Error    string        `json:"error"`
	Remedies []rota.Remedy `json:"remedies,omitempty"` // what a person can do about it
}

// ControlDoc tells which secrets a control was done to.
type ControlDoc struct {
	Action  ControlAction `json:"action"`
	Secrets []string      `json:"secrets"`
}
