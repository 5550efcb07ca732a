package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// system is this store's name in errors.
const system = "rota store"

// secretStore is the store of one secret.
type secretStore struct {
	db   *core
	name string
}

var _ rota.Store = (*secretStore)(nil)

// Secret returns the store of one secret. Each version's value is encrypted. A
// version that loses its last label is deleted together with its value.
//
// Beyond what [rota.Store] says: putting an existing version with the same
// credential leaves its labels alone, because they may have moved on; Put with
// [rota.LabelCurrent] moves [rota.LabelPrevious], as Move does; and
// [rota.LabelCurrent] can be moved but not removed.
func (db *DB) Secret(name string) rota.Store { return &secretStore{db: db.core, name: name} }

func (s *secretStore) refuse(op string, err error) error {
	return &rota.Error{System: system, Op: op + " of secret " + s.name, Class: rota.ClassStop, Err: err}
}

// fail wraps an error that is not a refusal.
func (s *secretStore) fail(op string, err error) error {
	if e, ok := errors.AsType[*rota.Error](err); err == nil || ok && e.System == system {
		return err
	}
	return fmt.Errorf("%s: %s of secret %s: %w", system, op, s.name, err)
}

// Describe lists the labeled versions, oldest first.
func (s *secretStore) Describe(ctx context.Context) (rota.Contents, error) {
	var c rota.Contents
	err := s.db.reads.rows(ctx, s.db.reader, sqlDescribe, []any{s.name}, func(row scanner) error {
		var r contentsRow
		if err := row.Scan(&r.changed, &r.version, &r.created, &r.label); err != nil {
			return err
		}
		r.addTo(&c)
		return nil
	})
	sortVersions(&c)
	return c, s.fail("describe versions", explain(err))
}

// contentsRow is a row of [sqlContents]: a secret's version with one of its
// labels, or an empty version if there is none.
type contentsRow struct {
	changed, created int64
	version, label   string
}

func (r contentsRow) addTo(c *rota.Contents) {
	c.ChangedAt = fromMicros(r.changed)
	if r.version == "" {
		return
	}
	at := slices.IndexFunc(c.Versions, func(v rota.Version) bool { return v.ID == r.version })
	if at < 0 {
		at = len(c.Versions)
		c.Versions = append(c.Versions, rota.Version{ID: r.version, CreatedAt: fromMicros(r.created)})
	}
	v := &c.Versions[at]
	v.Labels = append(v.Labels, rota.Label(r.label))
}

// sortVersions sorts them by age, and labels by name. In the query it would
// cost more.
func sortVersions(c *rota.Contents) {
	slices.SortFunc(c.Versions, func(a, b rota.Version) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	for _, v := range c.Versions {
		slices.Sort(v.Labels)
	}
}

// Get reads and decrypts one version.
func (s *secretStore) Get(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
	op := "get version " + r.Version
	var value []byte
	err := s.db.reads.row(ctx, s.db.reader, sqlValue, []any{s.name, r.Version}, &value)
	if isNoRows(err) || (err == nil && len(value) == 0) {
		return rota.Credential{}, s.refuse(op, rota.ErrNotFound)
	}
	if err != nil {
		return rota.Credential{}, s.fail(op, explain(err))
	}
	key, err := s.db.keys.find(ctx, s.db.reader, s.name)
	if err != nil {
		return rota.Credential{}, s.fail(op, err)
	}
	if key == nil {
		return rota.Credential{}, s.refuse(op, errNoDataKey)
	}
	c, err := decrypt(key, s.name, r.Version, value)
	if err != nil {
		return rota.Credential{}, s.refuse(op, err)
	}
	return c, nil
}

// Put stores a version with at least one label.
func (s *secretStore) Put(ctx context.Context, r rota.PutRequest) error {
	put, err := s.put(ctx, r)
	if err != nil {
		return err
	}
	err = s.db.writer.do(ctx, secretLock(s.name), func(t *tx) error { _, err := s.change(t, put); return err })
	return s.fail("put version "+r.Version, err)
}

// prepare prepares changes.
func (s *secretStore) prepare(ctx context.Context, changes []rotation.StoreChange) ([]change, error) {
	all := make([]change, len(changes))
	for i, c := range changes {
		var err error
		if c.Put != nil {
			all[i], err = s.put(ctx, *c.Put)
		} else {
			_, all[i], err = s.move(*c.Move)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// put prepares storing a version.
func (s *secretStore) put(ctx context.Context, r rota.PutRequest) (change, error) {
	op := "put version " + r.Version
	if s.name == "" || r.Version == "" || r.Credential.IsZero() || len(r.Labels) == 0 || slices.Contains(r.Labels, "") {
		return nil, s.refuse(op, errors.New("a version needs a secret's name, an id, a credential and a label"))
	}
	for name, value := range r.Credential.Fields() {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, s.refuse(op, rota.WithRemedies(fmt.Errorf("field %q is not UTF-8 text", name), rota.Outside("encode it in base64")))
		}
	}
	// A new secret gets its key in the transaction. All others are encrypted
	// here, where it holds nobody up.
	known, err := s.db.keys.find(ctx, s.db.reader, s.name)
	if err != nil {
		return nil, s.fail(op, err)
	}
	var sealed []byte
	if known != nil {
		if sealed, err = encrypt(known, s.name, r.Version, r.Credential); err != nil {
			return nil, s.fail(op, err)
		}
	}
	// Current first: it moves Previous, which may also have been requested.
	labels := slices.Clone(r.Labels)
	slices.SortStableFunc(labels, func(a, b rota.Label) int { return isCurrent(b) - isCurrent(a) })

	return func(t *tx, e *edit) error {
		if !e.exists {
			s.db.keys.drop(s.name)
		}
		key, value := s.db.keys.opened(s.name), sealed
		if key == nil || key != known {
			var err error
			if key, err = s.db.keys.dataKey(t, s.name, !e.exists); err != nil {
				return err
			}
			if value, err = encrypt(key, s.name, r.Version, r.Credential); err != nil {
				return err
			}
		}
		if _, found := e.created[r.Version]; found {
			var stored []byte
			if _, err := t.row(sqlValue, []any{s.name, r.Version}, &stored); err != nil {
				return err
			}
			if len(stored) > 0 { // otherwise it was announced through the endpoint, without a value
				return s.compare(op, key, r, stored)
			}
		}
		e.values[r.Version] = value
		for _, l := range labels {
			e.move(l, r.Version)
		}
		return nil
	}, nil
}

// compare refuses to put another credential than the one that's stored.
func (s *secretStore) compare(op string, key tink.AEAD, r rota.PutRequest, stored []byte) error {
	c, err := decrypt(key, s.name, r.Version, stored)
	if err == nil && !c.Equal(r.Credential) {
		err = fmt.Errorf("it already exists with a different credential: %w", rota.ErrConflict)
	}
	if err != nil {
		return s.refuse(op, err)
	}
	return nil
}

func isCurrent(l rota.Label) int {
	if l == rota.LabelCurrent {
		return 1
	}
	return 0
}

// Move moves one label by compare-and-swap.
func (s *secretStore) Move(ctx context.Context, r rota.MoveRequest) error {
	op, move, err := s.move(r)
	if err != nil {
		return err
	}
	err = s.db.writer.do(ctx, secretLock(s.name), func(t *tx) error { _, err := s.change(t, move); return err })
	return s.fail(op, err)
}

// move prepares moving a label.
func (s *secretStore) move(r rota.MoveRequest) (op string, run change, err error) {
	op = fmt.Sprintf("move %s from %q to %q", r.Label, r.From, r.To)
	if s.name == "" || r.Label == "" {
		return op, nil, s.refuse(op, errors.New("a move needs a secret's name and a label"))
	}
	return op, func(_ *tx, e *edit) error {
		holder := e.labels[string(r.Label)]
		switch {
		case holder == r.To:
			return nil
		case holder != r.From:
			return s.refuse(op, fmt.Errorf("%q has it: %w", holder, rota.ErrConflict))
		case r.To == "" && r.Label == rota.LabelCurrent:
			return s.refuse(op, fmt.Errorf("a secret always has a current version: %w", rota.ErrConflict))
		case r.To != "" && !e.has(r.To):
			return s.refuse(op, rota.ErrNotFound)
		}
		e.move(r.Label, r.To)
		return nil
	}, nil
}
