package config

import (
	"reflect"

	"go.yaml.in/yaml/v4"
)

// Document is the whole of rota.yaml.
type Document struct {
	At          Pos                    `json:"-"`
	Include     []Plain                `json:"include,omitzero" jsonschema:"More files with connections and secrets, such as teams/*.yaml. Relative paths start at this file's folder."`
	Connections map[string]*Connection `json:"connections,omitzero" jsonschema:"How to log in to outside systems, by names of your choice."`
	Defaults    Defaults               `json:"defaults,omitzero" jsonschema:"Settings for every secret that doesn't override them."`
	Server      Server                 `json:"server,omitzero" jsonschema:"How rota serve listens."`
	Controller  Controller             `json:"controller,omitzero" jsonschema:"What the users of a cluster's namespaces may do with rota controller."`
	Access      Access                 `json:"access,omitzero" jsonschema:"Who may do what, in addition to the principals in Rota's own store."`
	Secrets     []*Secret              `json:"secrets,omitzero" jsonschema:"The secrets that Rota manages."`
}

// Connection is how to log in to one outside system, or a notifier.
type Connection struct {
	At   Pos    `json:"-"`
	Kind Choice `json:"-" kinds:"connection"`
}

// Defaults apply to every secret that doesn't override them.
type Defaults struct {
	At       Pos           `json:"-"`
	Policy   Policy        `json:"policy,omitzero" jsonschema:"When to rotate secrets. A secret's own policy is merged over it, key by key."`
	Notify   []Notice      `json:"notify,omitzero" jsonschema:"The connections to notify of events for any secret."`
	Password PasswordRules `json:"password,omitzero" jsonschema:"How passwords are made."`
	Advice   Plain         `json:"advice,omitzero" enum:"on,off" jsonschema:"Whether rota check suggests how targets could do without a key. Defaults to on."`
}

// Policy says when to rotate a secret and when to retire its previous
// credential.
type Policy struct {
	At                      Pos         `json:"-"`
	RotateEvery             Duration    `json:"rotate_every,omitzero" jsonschema:"The age at which a credential is rotated, such as 90d. 0s means never automatically."`
	RotateAt                *Cron       `json:"rotate_at,omitzero" jsonschema:"When to rotate, instead of rotate_every."`
	Jitter                  Duration    `json:"jitter,omitzero" jsonschema:"The period over which to spread a fleet's rotations. Defaults to a ninetieth of rotate_every, at most 1d. 0s means none."`
	RetirePrevious          Plain       `json:"retire_previous,omitzero" enum:"after_grace,before_create" jsonschema:"Whether to retire the previous credential after its grace period, or only right before the next one is created. Defaults to after_grace."`
	DeactivatePreviousAfter Duration    `json:"deactivate_previous_after,omitzero" jsonschema:"How long after the new credential is in use to deactivate the previous one, such as 10d. Defaults to half of delete_previous_after if that's set, otherwise to a ninth of rotate_every, at most 10d."`
	DeletePreviousAfter     Duration    `json:"delete_previous_after,omitzero" jsonschema:"How long after the new credential is in use to delete the previous one, such as 20d. Defaults to twice deactivate_previous_after."`
	UnusedFor               Duration    `json:"unused_for,omitzero" jsonschema:"How long the previous credential must have been unused before it's deactivated. Defaults to 7d, or to deactivate_previous_after if that's shorter, but at least 1d."`
	RetireWhen              *RetireWhen `json:"retire_when,omitzero" jsonschema:"What has to be known before the previous credential is retired."`
	Window                  *Window     `json:"window,omitzero" jsonschema:"When rotations may start."`
	Blackouts               []*Blackout `json:"blackouts,omitzero" jsonschema:"Periods in which nothing starts that can wait."`
	ApartFrom               []*Apart    `json:"apart_from,omitzero" jsonschema:"Secrets that must not be rotated at about the same time."`
	WarnBefore              Duration    `json:"warn_before,omitzero" jsonschema:"How far ahead to warn of an expiry or a manual rotation. Defaults to 14d."`
	MaxAttempts             Int         `json:"max_attempts,omitzero" min:"1" max:"1000" jsonschema:"How many times to try a failing step. Defaults to 20."`
	TestWithin              Duration    `json:"test_within,omitzero" jsonschema:"How long a new password has to pass its test if setting it invalidates the old one. After that, the old one is put back. Defaults to 30s."`
	DriftCheck              Plain       `json:"drift_check,omitzero" enum:"login,passive" jsonschema:"How to see whether the current credential is still in force: login logs in with it where the issuer can't tell otherwise, at least once a day; passive never does. Defaults to login."`
	LateAfter               Duration    `json:"late_after,omitzero" jsonschema:"How long something may be overdue before it counts as late. Defaults to 24h."`
}

// RetireWhen says what has to be known before the previous credential is retired.
type RetireWhen struct {
	At      Pos      `json:"-"`
	Holders Plain    `json:"holders" enum:"all" jsonschema:"Whose reports count: all means that no instance reports holding the previous version."`
	Within  Duration `json:"within,omitzero" jsonschema:"How long an instance that no longer reports counts as holding what it held, such as 10m. Defaults to 10m; 1m at least."`
}

// Window is a recurring span of time.
type Window struct {
	At       Pos      `json:"-"`
	Cron     Plain    `json:"cron" jsonschema:"When it opens, in five cron fields: minute, hour, day of month, month, day of week."`
	For      Duration `json:"for" jsonschema:"How long it stays open, such as 4h."`
	Timezone Plain    `json:"timezone,omitzero" jsonschema:"The time zone for the cron fields, such as Europe/Berlin. Defaults to UTC."`
}

// Cron is a recurring point in time.
type Cron struct {
	At       Pos   `json:"-"`
	Cron     Plain `json:"cron" jsonschema:"When, in five cron fields: minute, hour, day of month, month, day of week."`
	Timezone Plain `json:"timezone,omitzero" jsonschema:"The time zone for the cron fields, such as Europe/Berlin. Defaults to UTC."`
}

// Blackout is a span of time without rotations.
type Blackout struct {
	At       Pos   `json:"-"`
	From     Plain `json:"from" jsonschema:"Its first day, such as 2026-12-20, or a moment, such as 2026-12-20T18:00, in quotes."`
	Until    Plain `json:"until" jsonschema:"Its last day, or the moment it ends, in quotes."`
	Timezone Plain `json:"timezone,omitzero" jsonschema:"The time zone for both, such as Europe/Berlin. Defaults to UTC."`
	Why      Plain `json:"why,omitzero" jsonschema:"The reason, for people."`
}

// Apart names another secret whose rotations must be kept apart from this
// one's.
type Apart struct {
	At     Pos      `json:"-"`
	Secret Plain    `json:"secret" jsonschema:"The other secret."`
	By     Duration `json:"by" jsonschema:"The minimum time between the two rotations, such as 12h."`
}

// Checks is one check, or a list of them.
type Checks []*Check

func (c *Checks) read(d *decoder, n *yaml.Node, path Path, tag reflect.StructTag) {
	if n.Kind != yaml.SequenceNode {
		*c = Checks{{}}
		d.value(n, reflect.ValueOf((*c)[0]).Elem(), path, tag)
		return
	}
	*c = make(Checks, len(n.Content))
	d.elements(n, reflect.ValueOf(c).Elem(), path, tag)
}
