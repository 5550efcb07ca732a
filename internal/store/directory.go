package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// accessKeysID names the data key that encrypts the secrets of access keys. No
// secret can have this name.
const accessKeysID = "(access keys)"

// Directory returns the principals and access keys that can log in to Rota.
// Their secrets are encrypted the way values are, so the database alone gives
// nothing away.
func (db *DB) Directory() access.Directory { return directory{db} }

type directory struct{ db *DB }

// Login reads and decrypts one key, in one query.
func (d directory) Login(ctx context.Context, keyID string) (access.Login, error) {
	fail := func(err error) (access.Login, error) {
		return access.Login{}, fmt.Errorf("access key %s: %w", keyID, err)
	}
	var row principalRow
	var sealed []byte
	err := d.db.reader.QueryRowContext(ctx, sqlLogin, keyID).Scan(append(row.fields(), &sealed)...)
	if isNoRows(err) {
		return fail(rota.ErrNotFound)
	}
	if err != nil {
		return fail(explain(err))
	}
	p, err := row.principal()
	if err != nil {
		return fail(err)
	}
	key, err := d.db.keys.find(ctx, d.db.reader, accessKeysID)
	if err == nil && key == nil {
		err = errNoDataKey
	}
	if err != nil {
		return fail(err)
	}
	secret, err := key.Decrypt(sealed, associated("access key", p.Name, keyID))
	if err != nil {
		return fail(rota.WithRemedies(errors.New("its stored secret fails authentication: the database is damaged or was tampered with"), rota.Outside("restore a backup")))
	}
	return access.Login{Key: row.key(), Secret: access.NewSecret(string(secret)), Principal: p}, nil
}

// Principals reads all principals in one query.
func (d directory) Principals(ctx context.Context) ([]access.Principal, error) {
	all, err := d.principals(ctx)
	if err != nil {
		return nil, fmt.Errorf("principals: %w", explain(err))
	}
	return all, nil
}

func (d directory) principals(ctx context.Context) ([]access.Principal, error) {
	rows, err := d.db.reader.QueryContext(ctx, sqlPrincipals)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []access.Principal
	for rows.Next() {
		if all, err = addPrincipal(all, rows); err != nil {
			return nil, err
		}
	}
	return all, rows.Err()
}

// Update reads all principals under the write lock, and writes the ones that
// change altered.
func (d directory) Update(ctx context.Context, change func(*access.Change) error, entries ...rotation.Entry) error {
	if _, err := d.db.keys.find(ctx, d.db.reader, accessKeysID); err != nil {
		return fmt.Errorf("access keys: %w", err)
	}
	return d.db.writer.do(ctx, accessLock, func(t *tx) error {
		key := d.db.keys.opened(accessKeysID)
		if key == nil {
			var err error
			if key, err = d.db.keys.dataKey(t, accessKeysID, true); err != nil {
				return fmt.Errorf("access keys: %w", err)
			}
		}
		before, err := t.principals()
		if err != nil {
			return err
		}
		c := access.NewChange(before)
		if err := change(c); err != nil {
			return err
		}
		if err := t.writePrincipals(key, before, c); err != nil {
			return err
		}
		return t.append(entries)
	})
}

// MarkUsed records when keys were last used.
func (d directory) MarkUsed(ctx context.Context, at map[string]time.Time) error {
	err := d.db.writer.do(ctx, accessLock, func(t *tx) error {
		for _, id := range slices.Sorted(maps.Keys(at)) {
			t.enqueue(sqlUseAccessKey, id, micros(at[id]))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("last uses of access keys: %w", err)
	}
	return nil
}

// writePrincipals writes the difference: first inserts and updates, then
// deletions, and keys before their principals.
func (t *tx) writePrincipals(key tink.AEAD, before []access.Principal, c *access.Change) error {
	had := map[string]access.Principal{}
	gone := map[string]access.Key{}
	for _, p := range before {
		had[p.Name] = p
		for _, k := range p.Keys {
			gone[k.ID] = k
		}
	}
	for _, p := range c.Principals {
		if err := t.putPrincipal(had[p.Name], p); err != nil {
			return err
		}
		delete(had, p.Name)
		for _, k := range p.Keys {
			old, known := gone[k.ID]
			delete(gone, k.ID)
			var err error
			if known {
				err = t.updateAccessKey(old, k)
			} else {
				err = t.insertAccessKey(key, p.Name, k, c.Secrets()[k.ID])
			}
			if err != nil {
				return err
			}
		}
	}
	for id := range gone {
		t.enqueue(sqlDeleteAccessKey, id)
	}
	for name := range had {
		t.enqueue(sqlDeletePrincipal, name)
	}
	return nil
}

func (t *tx) putPrincipal(old, p access.Principal) error {
	if old.Name == p.Name && old.Disabled == p.Disabled && slices.Equal(old.Rules, p.Rules) {
		return nil
	}
	rules, err := rulesText(p.Rules)
	if err != nil {
		return err
	}
	_, err = t.exec(sqlPutPrincipal, p.Name, rules, boolInt(p.Disabled), micros(p.CreatedAt))
	return err
}

func (t *tx) updateAccessKey(old, k access.Key) error {
	if old.Disabled == k.Disabled && old.ExpiresAt.Equal(k.ExpiresAt) {
		return nil
	}
	_, err := t.exec(sqlUpdateAccessKey, k.ID, boolInt(k.Disabled), micros(k.ExpiresAt))
	return err
}

func (t *tx) insertAccessKey(key tink.AEAD, principal string, k access.Key, s access.Secret) error {
	if s.IsZero() {
		return fmt.Errorf("access key %s has no secret", k.ID)
	}
	sealed, err := key.Encrypt([]byte(s.Reveal()), associated("access key", principal, k.ID))
	if err != nil {
		return fmt.Errorf("access key %s: %w", k.ID, err)
	}
	_, err = t.exec(sqlInsertAccessKey, k.ID, principal, sealed, boolInt(k.Disabled), micros(k.CreatedAt), micros(k.ExpiresAt))
	return err
}
