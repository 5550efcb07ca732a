package access

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// Principal is a person or program known to Rota itself, with their keys.
type Principal struct {
	Name      string    `json:"name"`
	Rules     []Rule    `json:"rules"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	Keys      []Key     `json:"keys,omitempty"` // sorted by id
}

// Key is an access key without its secret.
type Key struct {
	ID        string    `json:"id"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	UsedAt    time.Time `json:"used_at,omitzero"`    // rounded down to the hour; zero: never, as far as known
}

// Usable reports whether the key is valid at this time.
func (k Key) Usable(now time.Time) bool {
	return !k.Disabled && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// isAdministrator reports whether the principal can log in at this time and has
// all permissions.
func (p Principal) isAdministrator(now time.Time) bool {
	return !p.Disabled && Caller{Rules: p.Rules}.Allows(Admin, "") &&
		slices.ContainsFunc(p.Keys, func(k Key) bool { return k.Usable(now) })
}

// Clone returns a deep copy.
func (p Principal) Clone() Principal {
	p.Rules, p.Keys = slices.Clone(p.Rules), slices.Clone(p.Keys)
	return p
}

// principalName excludes ":", so that no principal can be mistaken for one from
// an identity provider or a certificate: those begin with "oidc:" or "mtls:".
var principalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$`)

// CheckName rejects invalid names for principals.
func CheckName(name string) error {
	if principalName.MatchString(name) {
		return nil
	}
	return rota.WithRemedies(fmt.Errorf("%q is not a valid name for a principal", name), rota.Outside("up to 128 letters, digits and . _ @ / -, such as app/orders"))
}
