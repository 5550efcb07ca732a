// Package access says who may do what: principals with their keys, the rules
// that they are given, how these are administered, and the caller that a
// request turns out to come from. It decides and speaks to no network: package
// authn finds out who asks, package oidc asks identity providers, and package
// store keeps principals and keys.
package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Action is what somebody wants to do to a secret, or to Rota itself.
type Action string

// The actions. Admin includes all others.
const (
	List     Action = "list"     // see that it is there: name, dates, labels, state
	Read     Action = "read"     // read its value
	Write    Action = "write"    // put values, labels, tags and descriptions
	Rotate   Action = "rotate"   // rotate, roll back, adopt, deliver, pause, resume
	Retire   Action = "retire"   // deactivate and delete credentials
	Remove   Action = "remove"   // delete and restore the secret itself
	Audit    Action = "audit"    // read and verify the audit
	Admin    Action = "admin"    // all of these, and access, freezing and reloading
	Any Action = "anything" // not for rules: any action at all, to list what concerns the caller
)

// Rule allows an action on the secrets whose names match a pattern. In a
// pattern "*" stands for any characters, "/" included. Nothing is allowed
// that no rule allows.
type Rule struct {
	Action  Action `json:"action"`
	Pattern string `json:"pattern"`
}

// Caller is who asks, once it is proven who that is.
type Caller struct {
	// Principal is the name that the audit has, such as "app/orders" or
	// "oidc:gitlab:project_path:shop/api".
	Principal string
	Rules     []Rule
	// Method is how it was proven: "sigv4", "token", "oidc", "mtls", "local".
	Method string
	// From is the address that asked, without a port; "" on the same machine.
	From string
}

// Local is who has the machine: the command line with the data folder at hand.
// It may do everything.
func Local(actor string) Caller {
	return Caller{Principal: actor, Method: "local", Rules: []Rule{{Action: Admin, Pattern: "*"}}}
}

// ErrDenied is what a caller gets who may not.
var ErrDenied = errors.New("not allowed")

// Allows tells whether the caller may do this to a secret; "" is Rota itself.
func (c Caller) Allows(a Action, secret string) bool {
	for _, r := range c.Rules {
		if (r.Action == a || r.Action == Admin || a == Any) && Match(r.Pattern, secret) {
			return true
		}
	}
	return false
}

// Check is nil where the caller may, else an error that is [ErrDenied].
func (c Caller) Check(a Action, secret string) error {
	if c.Allows(a, secret) {
		return nil
	}
	return fmt.Errorf("%s may not %s %q: %w", c.Principal, a, secret, ErrDenied)
}

// Entry is the audit entry of what the caller did, or was refused.
func (c Caller) Entry(at time.Time, op, secret string, o rotation.Outcome, detail string) rotation.Entry {
	return rotation.Entry{At: at.UTC(), Actor: c.Principal, From: c.From, Secret: secret, Step: op, Outcome: o, Detail: detail}
}

// Match tells whether a name matches a pattern with "*" for any characters.
func Match(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	if !wild {
		return name == ""
	}
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}
