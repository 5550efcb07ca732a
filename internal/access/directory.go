package access

import (
	"context"
	"slices"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Login is a key with its principal, and the secret to check it with.
type Login struct {
	Key       Key
	Secret    Secret
	Principal Principal // without its keys
}

// Directory stores principals and keys. All methods must be safe for concurrent
// use, and whatever they report as done is durable. Secrets are encrypted at
// rest.
type Directory interface {
	// Login returns a key by its id, or [rota.ErrNotFound]. Callers check
	// whether it is disabled or has expired.
	Login(ctx context.Context, keyID string) (Login, error)
	// Principals returns all principals with their keys, sorted by name.
	Principals(ctx context.Context) ([]Principal, error)
	// Update runs change on all principals and writes the result and the
	// entries atomically. An error from change undoes everything and is
	// returned unchanged. No two changes run at the same time, on any replica.
	// change may run again after losing a race, so it must have no other
	// effects.
	Update(ctx context.Context, change func(*Change) error, entries ...rotation.Entry) error
	// MarkUsed records when keys were last used. It ignores unknown keys, and
	// times before the recorded one.
	MarkUsed(ctx context.Context, at map[string]time.Time) error
}

// Recorder adds entries to the audit, durably.
type Recorder interface {
	Record(ctx context.Context, entries ...rotation.Entry) error
}

// Change is the principals being changed, sorted by name.
type Change struct {
	Principals []Principal

	secrets map[string]Secret
}

// NewChange is for implementations of [Directory]. It copies the principals.
func NewChange(principals []Principal) *Change {
	c := &Change{}
	for _, p := range principals {
		c.Principals = append(c.Principals, p.Clone())
	}
	return c
}

// Secrets is for implementations of [Directory]: the new keys' secrets.
func (c *Change) Secrets() map[string]Secret { return c.secrets }

// Find returns the named principal for changing, or [rota.ErrNotFound].
func (c *Change) Find(name string) (*Principal, error) {
	i := slices.IndexFunc(c.Principals, func(p Principal) bool { return p.Name == name })
	if i < 0 {
		return nil, notFound("principal", name, principalNames(c.Principals))
	}
	return &c.Principals[i], nil
}

// FindKey returns a key for changing and its principal, or [rota.ErrNotFound].
func (c *Change) FindKey(id string) (*Principal, *Key, error) {
	for i := range c.Principals {
		p := &c.Principals[i]
		for j := range p.Keys {
			if p.Keys[j].ID == id {
				return p, &p.Keys[j], nil
			}
		}
	}
	return nil, nil, notFound("key", id, nil)
}

// AddKey adds a new key to a principal.
func (c *Change) AddKey(p *Principal, k Key, s Secret) {
	p.Keys = append(p.Keys, k)
	if c.secrets == nil {
		c.secrets = map[string]Secret{}
	}
	c.secrets[k.ID] = s
}

func principalNames(principals []Principal) []string {
	names := make([]string, len(principals))
	for i, p := range principals {
		names[i] = p.Name
	}
	return names
}
