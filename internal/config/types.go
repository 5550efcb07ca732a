package config

import (
	"reflect"

	"go.yaml.in/yaml/v4"
)

// Document is the whole of rota.yaml.
type Document struct {
	At          Pos                    `json:"-"`
	Connections map[string]*Connection `json:"connections,omitzero" jsonschema:"How to log in to outside systems, by names of your choice."`
	Defaults    Defaults               `json:"defaults,omitzero" jsonschema:"What holds for every secret that does not say otherwise."`
	Server      Server                 `json:"server,omitzero" jsonschema:"How rota serve listens."`
	Access      Access                 `json:"access,omitzero" jsonschema:"Who may do what, besides the principals in Rota's own store."`
	Secrets     []*Secret              `json:"secrets" jsonschema:"The secrets that Rota keeps fresh."`
}

// Connection is how to log in to one outside system, or a notifier.
type Connection struct {
	At   Pos    `json:"-"`
	Kind Choice `json:"-" kinds:"connection"`
}

// Defaults apply to every secret that doesn't override them.
type Defaults struct {
	At       Pos           `json:"-"`
	Policy   Policy        `json:"policy,omitzero" jsonschema:"When secrets are rotated. A secret's own policy is merged over it, key by key."`
	Notify   []Notice      `json:"notify,omitzero" jsonschema:"The connections that hear what happened to any secret."`
	Password PasswordRules `json:"password,omitzero" jsonschema:"How passwords are made."`
	Advice   Plain         `json:"advice,omitzero" enum:"on,off" jsonschema:"Whether rota check says how targets could do without a key. Defaults to on."`
}

// Policy says when to rotate a secret and when to retire its previous
// credential.
type Policy struct {
	At                      Pos         `json:"-"`
	RotateEvery             Duration    `json:"rotate_every,omitzero" jsonschema:"How old a credential may grow, such as 90d. 0s means never by itself."`
	RotateAt                *Cron       `json:"rotate_at,omitzero" jsonschema:"The moments to rotate at, in place of rotate_every."`
	Jitter                  Duration    `json:"jitter,omitzero" jsonschema:"The span over which the rotations of a fleet are spread. Defaults to a ninetieth of rotate_every, 1d at most; 0s for none."`
	RetirePrevious          Plain       `json:"retire_previous,omitzero" enum:"after_grace,before_create" jsonschema:"Whether the previous credential goes when its grace is over, or only just before the next is made. Defaults to after_grace."`
	DeactivatePreviousAfter Duration    `json:"deactivate_previous_after,omitzero" jsonschema:"How long after the new credential is in use the previous one is switched off, such as 10d. Defaults to half of delete_previous_after, else to a ninth of rotate_every, 10d at most."`
	DeletePreviousAfter     Duration    `json:"delete_previous_after,omitzero" jsonschema:"How long after the new credential is in use the previous one is deleted, such as 20d. Defaults to twice deactivate_previous_after."`
	UnusedFor               Duration    `json:"unused_for,omitzero" jsonschema:"How long the previous credential must not have been used before it is switched off. Defaults to 7d, or deactivate_previous_after where that is shorter, but at least 1d."`
	Window                  *Window     `json:"window,omitzero" jsonschema:"When rotations may begin."`
	Blackouts               []*Blackout `json:"blackouts,omitzero" jsonschema:"Spans in which nothing begins that need not."`
	ApartFrom               []*Apart    `json:"apart_from,omitzero" jsonschema:"Secrets that must not be rotated at about the same time."`
	WarnBefore              Duration    `json:"warn_before,omitzero" jsonschema:"How long before a credential expires, or a person has to rotate it, that is told. Defaults to 14d."`
	MaxAttempts             Int         `json:"max_attempts,omitzero" min:"1" max:"1000" jsonschema:"How often a failing step is tried. Defaults to 20."`
	TestWithin              Duration    `json:"test_within,omitzero" jsonschema:"How long a new password may take to pass its test where setting it invalidates the old one, which is then put back. Defaults to 30s."`
	LateAfter               Duration    `json:"late_after,omitzero" jsonschema:"How long what is due may wait before it counts as late. Defaults to 24h."`
}

// Window is a recurring span of time.
type Window struct {
	At       Pos      `json:"-"`
	Cron     Plain    `json:"cron" jsonschema:"When it opens, in five cron fields: minute, hour, day of month, month, day of week."`
	For      Duration `json:"for" jsonschema:"How long it stays open, such as 4h."`
	Timezone Plain    `json:"timezone,omitzero" jsonschema:"The time zone of the cron fields, such as Europe/Berlin. Defaults to UTC."`
}

// Cron is a recurring point in time.
type Cron struct {
	At       Pos   `json:"-"`
	Cron     Plain `json:"cron" jsonschema:"When, in five cron fields: minute, hour, day of month, month, day of week."`
	Timezone Plain `json:"timezone,omitzero" jsonschema:"The time zone of the cron fields, such as Europe/Berlin. Defaults to UTC."`
}

// Blackout is a span of time without rotations.
type Blackout struct {
	At       Pos   `json:"-"`
	From     Plain `json:"from" jsonschema:"Its first day, such as 2026-12-20, or a moment, such as 2026-12-20T18:00, in quotes."`
	Until    Plain `json:"until" jsonschema:"Its last day, or the moment at which it is over, in quotes."`
	Timezone Plain `json:"timezone,omitzero" jsonschema:"The time zone of the two, such as Europe/Berlin. Defaults to UTC."`
	Why      Plain `json:"why,omitzero" jsonschema:"Why, for people."`
}

// Apart names another secret whose rotations must be kept apart from this
// one's.
type Apart struct {
	At     Pos      `json:"-"`
	Secret Plain    `json:"secret" jsonschema:"The other secret."`
	By     Duration `json:"by" jsonschema:"How far apart the two rotations must be, such as 12h."`
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
