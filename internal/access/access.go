// Package access decides who may do what: principals with their keys, the rules
// granted to them, their administration, and the caller that a request turns
// out to come from. It makes decisions and uses no network. Package authn
// authenticates requests, package oidc talks to identity providers, and package
// store stores principals and keys.
package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Action is what a caller wants to do to a secret, or to Rota itself.
type Action string

// The actions. Admin includes all others.
const (
	List   Action = "list"     // see that it exists: name, dates, labels, state
	Read   Action = "read"     // read its value
	Write  Action = "write"    // put values, labels, tags and descriptions
	Rotate Action = "rotate"   // rotate, roll back, adopt, deliver, pause, resume
	Retire Action = "retire"   // deactivate and delete credentials
	Remove Action = "remove"   // delete and restore the secret itself
	Audit  Action = "audit"    // read and verify the audit
	Admin  Action = "admin"    // all of these, plus access, freezing and reloading
	Any    Action = "anything" // not for rules: any action at all, to list what concerns the caller
)

// Rule allows an action on the secrets whose names match a pattern. In a
// pattern "*" stands for any characters, "/" included. Nothing is allowed
// that no rule allows.
type Rule struct {
	Action  Action `json:"action"`
	Pattern string `json:"pattern"`
}

// Caller is who sent a request, once authenticated.
type Caller struct {
	// Principal is the name in the audit, such as "app/orders" or
	// "oidc:gitlab:project_path:shop/api".
	Principal string
	Rules     []Rule
	// Method is how the caller authenticated: "sigv4", "token", "oidc", "mtls",
	// "local".
	Method string
	// Key is the id of the access key that they proved to have; "" for the
	// methods without one.
	Key string
	// From is the client's address, without a port; "" on the same machine.
	From string
}

// Local is whoever controls the machine: the command line with access to the
// data folder. They may do everything.
func Local(actor string) Caller {
	return Caller{Principal: actor, Method: "local", Rules: []Rule{{Action: Admin, Pattern: "*"}}}
}

// ErrDenied means that the caller isn't allowed to do this.
var ErrDenied = errors.New("not allowed")

// Allows reports whether the caller may do this to a secret; "" is Rota itself.
func (c Caller) Allows(a Action, secret string) bool {
	for _, r := range c.Rules {
		if (r.Action == a || r.Action == Admin || a == Any) && Match(r.Pattern, secret) {
			return true
		}
	}
	return false
}

// Check returns nil if the caller may do this, and otherwise an error that
// wraps [ErrDenied].
func (c Caller) Check(a Action, secret string) error {
	if c.Allows(a, secret) {
		return nil
	}
	if secret == "" {
		return rota.WithRemedies(fmt.Errorf("%s doesn't have the permission %s: %w", c.Principal, a, ErrDenied), askForRule(a, "*"))
	}
	return rota.WithRemedies(fmt.Errorf("%s may not %s %s: %w", c.Principal, a, secret, ErrDenied), askForRule(a, secret))
}

// askForRule returns what a caller can do who lacks a rule.
func askForRule(a Action, pattern string) []rota.Remedy {
	return rota.Outside("ask an administrator for the rule " + Rule{Action: a, Pattern: pattern}.String())
}

// Entry is the audit entry for what the caller did or was denied.
func (c Caller) Entry(at time.Time, op, secret string, o rotation.Outcome, detail string) rotation.Entry {
	return rotation.Entry{At: at.UTC(), Actor: c.Principal, From: c.From, Secret: secret, Step: op, Outcome: o, Detail: detail}
}

// Match reports whether a name matches a pattern with "*" for any characters.
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
