package access

import (
	"context"
	"slices"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Login is what a key proves: whose it is, and the secret to check it with.
type Login struct {
	Key       Key
	Secret    Secret
	Principal Principal // without its keys
}

// Directory keeps principals and keys. All methods may be called at the same
// time; what was reported as done is durable. Secrets lie in it encrypted.
type Directory interface {
	// Login gives a key by its id, or [rota.ErrNotFound]. Whether it is disabled or
	// has expired is for the caller to see.
	Login(ctx context.Context, keyID string) (Login, error)
	// Principals gives all of them with their keys, in order of their names.
	Principals(ctx context.Context) ([]Principal, error)
	// Update runs change on all principals and writes down, as one, what it did
	// and the entries. An error of change undoes all and is given back as it
	// is. No two changes run at the same time, on any replica. change may be
	// run again after a lost race: it must do nothing else.
	Update(ctx context.Context, change func(*Change) error, entries ...rotation.Entry) error
	// Used notes when keys were last used. Keys that are gone are left out; a
	// time before the one that is noted changes nothing.
	MarkUsed(ctx context.Context, at map[string]time.Time) error
}

// Recorder adds entries to the audit, durably.
type Recorder interface {
	Record(ctx context.Context, entries ...rotation.Entry) error
}

// Change is the principals being changed, in order of their names.
type Change struct {
	Principals []Principal

	secrets map[string]Secret
}

// NewChange is for implementations of [Directory]: it copies the principals.
func NewChange(principals []Principal) *Change {
	c := &Change{}
	for _, p := range principals {
		c.Principals = append(c.Principals, p.Clone())
	}
	return c
}

// Secrets gives, for implementations of [Directory], the new keys' secrets.
func (c *Change) Secrets() map[string]Secret { return c.secrets }

// Find gives the principal of that name to change, or [rota.ErrNotFound].
func (c *Change) Find(name string) (*Principal, error) {
	i := slices.IndexFunc(c.Principals, func(p Principal) bool { return p.Name == name })
	if i < 0 {
		return nil, notFound("principal", name, principalNames(c.Principals))
	}
	return &c.Principals[i], nil
}

// FindKey gives a key to change and whose it is, or [rota.ErrNotFound].
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

// AddKey gives a principal a new key.
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
