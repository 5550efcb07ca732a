package cli

import (
	"time"

	"rota"
	"rota/config"
	"rota/simulate"
)

// The documents that --output json prints, one a command. Names are
// snake_case and stay; fields may be added. Times are RFC 3339. What has no
// value is left out. No document but that of get holds a secret's value.

// errorDoc is printed on stderr where a command fails as a whole.
type errorDoc struct {
	Error    string       `json:"error"`
	Hint     string       `json:"hint,omitempty"`
	Code     int          `json:"code"`               // the exit code
	Problems []problemDoc `json:"problems,omitempty"` // what is wrong with rota.yaml
}

// problemDoc is one thing wrong with rota.yaml, or worth a warning.
type problemDoc struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func problemDocs(problems []config.Problem) []problemDoc {
	out := []problemDoc{}
	for _, p := range problems {
		out = append(out, problemDoc{File: p.File, Line: p.Line, Column: p.Column, Message: p.Message, Hint: p.Hint})
	}
	return out
}

// pathDoc is what init, backup, restore and man did.
type pathDoc struct {
	Path string `json:"path"`
}

// validateDoc is what validate found.
type validateDoc struct {
	Path        string       `json:"path"`
	Secrets     int          `json:"secrets"`
	Connections int          `json:"connections"`
	Warnings    []problemDoc `json:"warnings"`
}

// checkDoc is what check found.
type checkDoc struct {
	OK       bool         `json:"ok"`
	Failed   int          `json:"failed"`
	Warnings int          `json:"warnings"`
	Findings []findingDoc `json:"findings"`
}

// findingDoc is one check's answer. Secret is left out for what concerns all.
type findingDoc struct {
	Secret string `json:"secret,omitempty"`
	rota.Finding
}

// planDoc is what plan foresees.
type planDoc struct {
	From    time.Time       `json:"from"`
	Until   time.Time       `json:"until,omitzero"` // left out where only the next step is shown
	Secrets []planSecretDoc `json:"secrets"`
}

type planSecretDoc struct {
	Secret string    `json:"secret"`
	Steps  []stepDoc `json:"steps"`
	Error  string    `json:"error,omitempty"`
	Hint   string    `json:"hint,omitempty"`
}

// stepDoc is a step that was done, or will be. With Hold, it is due but may
// not be done.
type stepDoc struct {
	At         time.Time     `json:"at,omitzero"`
	Step       rota.Step     `json:"step,omitempty"`
	Version    string        `json:"version,omitempty"`
	Credential string        `json:"credential,omitempty"`
	Hold       rota.HoldKind `json:"hold,omitempty"`
	Reason     string        `json:"reason,omitempty"`
}

// workDoc is what run, rotate, rollback, adopt, deliver, deactivate and delete
// did.
type workDoc struct {
	Secrets []workSecretDoc `json:"secrets"`
	NotDue  int             `json:"not_due"` // of run: those not looked at
}

// workSecretDoc is what was done to one secret.
type workSecretDoc struct {
	Secret string        `json:"secret"`
	State  workState     `json:"state"`
	Done   []stepDoc     `json:"done"`
	Next   rota.Step     `json:"next,omitempty"`
	NextAt time.Time     `json:"next_at,omitzero"`
	Hold   rota.HoldKind `json:"hold,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Error  string        `json:"error,omitempty"`
	Hint   string        `json:"hint,omitempty"`
}

// workState is how it went for one secret.
type workState string

const (
	workDone    workState = "done"    // steps were taken
	workNothing workState = "nothing" // nothing was to be done
	workHeld    workState = "held"    // due, but may not be done
	workFailed  workState = "failed"
	workBusy    workState = "busy"    // another worker is at it
	workSkipped workState = "skipped" // not begun, because a system it needs does not answer
)

// statusDoc is what status shows.
type statusDoc struct {
	At      time.Time         `json:"at"`
	Secrets []statusSecretDoc `json:"secrets"`
	// Unknown are secrets that the store remembers and rota.yaml does not
	// name.
	Unknown []string `json:"unknown"`
}

type statusSecretDoc struct {
	Secret           string        `json:"secret"`
	State            secretState   `json:"state"`
	Reason           string        `json:"reason,omitempty"`
	Credential       string        `json:"credential,omitempty"`
	Version          string        `json:"version,omitempty"`
	IssuedAt         time.Time     `json:"issued_at,omitzero"`
	AgeSeconds       int64         `json:"age_seconds,omitempty"`
	Previous         string        `json:"previous,omitempty"`
	PreviousInactive bool          `json:"previous_inactive,omitempty"`
	Next             rota.Step     `json:"next,omitempty"`
	NextAt           time.Time     `json:"next_at,omitzero"` // when it is due
	Hold             rota.HoldKind `json:"hold,omitempty"`
	LookedAt         time.Time     `json:"looked_at,omitzero"`
	Worker           string        `json:"worker,omitempty"` // who is at it now
}

// secretState is how a secret stands.
type secretState string

const (
	stateOK     secretState = "ok"
	stateDue    secretState = "due"
	stateLate   secretState = "late"
	stateHeld   secretState = "held"
	stateFailed secretState = "failed"
)

// historyDoc is what history and audit show.
type historyDoc struct {
	Entries []entryDoc `json:"entries"`
}

type entryDoc struct {
	Seq int64 `json:"seq"`
	rota.Entry
	Hash string `json:"hash"`
}

// verifyDoc is what audit --verify found of a chain that is whole.
type verifyDoc struct {
	Verified bool   `json:"verified"`
	Entries  int    `json:"entries"`
	Head     string `json:"head"`
}

// versionsDoc is what versions shows.
type versionsDoc struct {
	Secret    string       `json:"secret"`
	ChangedAt time.Time    `json:"changed_at,omitzero"`
	Versions  []versionDoc `json:"versions"`
	// Elsewhere are the issuer's credentials that no version holds.
	Elsewhere []issuedDoc `json:"elsewhere"`
}

type versionDoc struct {
	Version    string       `json:"version"`
	Labels     []rota.Label `json:"labels"`
	CreatedAt  time.Time    `json:"created_at"`
	Credential string       `json:"credential,omitempty"`
	State      string       `json:"state"` // active, inactive, gone, unknown
	Use        string       `json:"use,omitempty"`
	Ours       bool         `json:"ours"` // made or adopted by Rota
}

type issuedDoc struct {
	Credential string    `json:"credential"`
	State      string    `json:"state"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	Use        string    `json:"use,omitempty"`
}

// getDoc is the one document that holds values.
type getDoc struct {
	Secret     string            `json:"secret"`
	Version    string            `json:"version"`
	Labels     []rota.Label      `json:"labels"`
	Credential string            `json:"credential,omitempty"`
	Fields     map[string]string `json:"fields"`
}

// alertDoc is what alert found.
type alertDoc struct {
	Late   []string       `json:"late"`
	Errors []alertFailure `json:"errors"`
}

type alertFailure struct {
	Secret string `json:"secret"`
	Error  string `json:"error"`
}

// keyDoc is what key rotate did.
type keyDoc struct {
	DataKeys int `json:"data_keys"` // encrypted anew
}

// buildDoc is what version shows.
type buildDoc struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// simulateDoc is what simulate found.
type simulateDoc struct {
	simulate.Result
	FirstSeed  uint64         `json:"first_seed"`
	Violations []violationDoc `json:"violations"`
}

type violationDoc struct {
	Seed   uint64    `json:"seed"`
	Rule   int       `json:"rule"`
	Secret string    `json:"secret"`
	At     time.Time `json:"at"` // in virtual time
	What   string    `json:"what"`
	Trace  []string  `json:"trace"`
	Replay string    `json:"replay"` // the command that breaks the rule again
}
