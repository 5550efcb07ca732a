package access

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Principal is somebody whom Rota knows by itself, a person or a program, with
// the keys that prove it.
type Principal struct {
	Name      string    `json:"name"`
	Rules     []Rule    `json:"rules"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	Keys      []Key     `json:"keys,omitempty"` // in order of their ids
}

// Key is an access key without its secret.
type Key struct {
	ID        string    `json:"id"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	UsedAt    time.Time `json:"used_at,omitzero"`    // the hour; zero: never, as far as known
}

// Usable tells whether the key proves anything at this time.
func (k Key) Usable(now time.Time) bool {
	return !k.Disabled && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// isAdministrator tells whether the principal can log in at this time and do
// anything at all to Rota.
func (p Principal) isAdministrator(now time.Time) bool {
	return !p.Disabled && Caller{Rules: p.Rules}.Allows(Admin, "") &&
		slices.ContainsFunc(p.Keys, func(k Key) bool { return k.Usable(now) })
}

// Clone is a copy that shares nothing.
func (p Principal) Clone() Principal {
	p.Rules, p.Keys = slices.Clone(p.Rules), slices.Clone(p.Keys)
	return p
}

// principalName leaves out ":", so that no principal is taken for one that an
// identity provider or a certificate named: those begin with "oidc:" or "mtls:".
var principalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$`)

// CheckName refuses a name that no principal may have.
func CheckName(name string) error {
	if principalName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is no name for a principal (try: up to 128 letters, digits and . _ @ / -, such as app/orders)", name)
}
