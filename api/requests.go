package api

import (
	"time"

	"github.com/rota-dev/rota"
)

// Operation is what [Client.Work] does.
type Operation string

// The operations on one secret.
const (
	OpRotate     Operation = "rotate"
	OpRollback   Operation = "rollback"
	OpDeliver    Operation = "deliver"
	OpDeactivate Operation = "deactivate"
	OpDelete     Operation = "delete"
)

// WorkRequest asks for one operation on at least one secret.
type WorkRequest struct {
	Operation Operation `json:"operation"`
	Secrets   []string  `json:"secrets"`
	// NoWait gives up at once if another worker holds a secret, instead of
	// waiting for its lease to end.
	NoWait bool `json:"no_wait,omitempty"`
}

// RunRequest asks for everything that is due.
type RunRequest struct {
	// Secrets limits it to these; all of them if none is named.
	Secrets []string `json:"secrets,omitempty"`

	All bool `json:"all,omitempty"` // look at every secret, due or not
}

// AdoptRequest hands over a credential. Without Fields, Rota takes over the
// store's AWSCURRENT.
type AdoptRequest struct {
	Secret    string            `json:"secret"`
	Fields    map[string]string `json:"fields,omitempty"`
	NotBefore time.Time         `json:"not_before,omitzero"` // don't rotate before this time
	NoWait    bool              `json:"no_wait,omitempty"`
}

// ControlAction is what [Client.Control] does.
type ControlAction string

// The controls. Freeze and thaw apply to all secrets, and reload to the
// configuration.
const (
	ControlPause  ControlAction = "pause"
	ControlResume ControlAction = "resume" // lifts a pause or a quarantine
	ControlDone   ControlAction = "done"   // a person has rotated it
	ControlFreeze ControlAction = "freeze"
	ControlThaw   ControlAction = "thaw"
	ControlReload ControlAction = "reload"
)

// ControlRequest asks for a control of the named secrets: at least one to
// pause, resume or mark as done, and none to freeze, thaw or reload.
type ControlRequest struct {
	Action  ControlAction `json:"action"`
	Secrets []string      `json:"secrets,omitempty"`
	Reason  string        `json:"reason,omitempty"` // for people, shown in status and audit
}

// StatusRequest selects secrets; all of them if none is named.
type StatusRequest struct {
	Names []string `json:"names,omitempty"`
	After string   `json:"after,omitempty"` // only secrets whose names sort after this one
	Limit int      `json:"limit,omitempty"` // at most this many; 0 for all
}

// PlanRequest says how far to look. With a zero Until, the plan stops at each
// secret's next step.
type PlanRequest struct {
	Names []string  `json:"names,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// GetRequest names a version by its id or label, AWSCURRENT if neither is
// given. Field asks for a single field.
type GetRequest struct {
	Secret  string     `json:"secret"`
	Field   string     `json:"field,omitempty"`
	Label   rota.Label `json:"label,omitempty"`
	Version string     `json:"version,omitempty"`
	// Instance is the instance of an application that reads it, as in
	// [ReportRequest]: it holds the version from then on. "" for a person.
	Instance string `json:"instance,omitempty"`
}

// HistoryRequest selects entries of the audit.
type HistoryRequest struct {
	Secret string `json:"secret,omitempty"` // "" for all
	After  int64  `json:"after,omitempty"`  // only entries with a higher number
	Before int64  `json:"before,omitempty"` // only entries with a lower number; 0 for no bound
	Limit  int    `json:"limit,omitempty"`  // defaults to 100
	Oldest bool   `json:"oldest,omitempty"` // the oldest matches instead of the newest
}
