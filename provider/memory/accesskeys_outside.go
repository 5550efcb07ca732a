package memory

import (
	"github.com/rota-dev/rota"
)

// remember saves the state before a write, for stale lists.
func (a *AccessKeys) remember() { a.before = a.existing() }

// Plant makes an active key that Rota doesn't know about. It ignores the limit
// and injects no faults.
func (a *AccessKeys) Plant() rota.Credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.add(true)
}

// Foreign reports whether the key was planted.
func (a *AccessKeys) Foreign(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.find(id)
	return k != nil && k.foreign
}

// Login simulates a consumer logging in with the credential, and reports
// whether it succeeded.
func (a *AccessKeys) Login(c rota.Credential) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.login(a.CredentialID(c), c.Field(rota.FieldSecretAccessKey))
}

// Use is Login for a consumer that is known to hold the key's secret.
func (a *AccessKeys) Use(keyID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.find(keyID)
	return k != nil && a.login(keyID, k.secret)
}

// Keys returns the keys that actually exist now, however stale a list is.
func (a *AccessKeys) Keys() []rota.Issued {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.existing()
}

// LimitHits returns how many calls hit the limit.
func (a *AccessKeys) LimitHits() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limitHits
}
