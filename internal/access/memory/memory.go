// Package memory keeps principals, keys and their audit in memory, for tests.
// Everything is lost when the process ends.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// Directory is an [access.Directory] and an [access.Recorder]. The zero value
// is empty.
type Directory struct {
	mu         sync.Mutex
	principals []access.Principal
	secrets    map[string]access.Secret
	entries    []rotation.Entry
}

var (
	_ access.Directory = (*Directory)(nil)
	_ access.Recorder  = (*Directory)(nil)
)

// Login returns a key by its id.
func (d *Directory) Login(ctx context.Context, keyID string) (access.Login, error) {
	if err := ctx.Err(); err != nil {
		return access.Login{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.principals {
		for _, k := range p.Keys {
			if k.ID == keyID {
				owner := p.Clone()
				owner.Keys = nil
				return access.Login{Key: k, Secret: d.secrets[keyID], Principal: owner}, nil
			}
		}
	}
	return access.Login{}, fmt.Errorf("key %s: %w", keyID, rota.ErrNotFound)
}

// Principals returns all principals.
func (d *Directory) Principals(ctx context.Context) ([]access.Principal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return access.NewChange(d.principals).Principals, nil
}

// Update carries out a change.
func (d *Directory) Update(ctx context.Context, change func(*access.Change) error, entries ...rotation.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := access.NewChange(d.principals)
	if err := change(c); err != nil {
		return err
	}
	slices.SortFunc(c.Principals, func(x, y access.Principal) int { return cmp.Compare(x.Name, y.Name) })
	secrets := map[string]access.Secret{}
	for _, p := range c.Principals {
		slices.SortFunc(p.Keys, func(x, y access.Key) int { return cmp.Compare(x.ID, y.ID) })
		for _, k := range p.Keys {
			secrets[k.ID] = d.secrets[k.ID]
			if s, isNew := c.Secrets()[k.ID]; isNew {
				secrets[k.ID] = s
			}
		}
	}
	d.principals, d.secrets = access.NewChange(c.Principals).Principals, secrets
	d.entries = append(d.entries, entries...)
	return nil
}

// MarkUsed records when keys were last used.
func (d *Directory) MarkUsed(ctx context.Context, at map[string]time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.principals {
		for i, k := range p.Keys {
			if used, ok := at[k.ID]; ok && used.After(k.UsedAt) {
				p.Keys[i].UsedAt = used
			}
		}
	}
	return nil
}

// Record adds audit entries.
func (d *Directory) Record(ctx context.Context, entries ...rotation.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entries...)
	return nil
}

// Entries returns the audit, oldest first.
func (d *Directory) Entries() []rotation.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries)
}
