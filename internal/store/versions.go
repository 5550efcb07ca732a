package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rota-dev/rota"
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
	c, err := s.describe(ctx)
	return c, s.fail("describe versions", err)
}

func (s *secretStore) describe(ctx context.Context) (rota.Contents, error) {
	stmt, err := s.db.reads.prepare(ctx, s.db.reader, sqlDescribe) //nolint:sqlclosecheck // it is kept for the next call
	if err != nil {
		return rota.Contents{}, explain(err)
	}
	rows, err := stmt.QueryContext(ctx, s.name)
	if err != nil {
		return rota.Contents{}, explain(err)
	}
	defer func() { _ = rows.Close() }()
	var c rota.Contents
	for rows.Next() {
		var changed int64
		var created sql.NullInt64
		var id, label sql.NullString
		if err := rows.Scan(&changed, &id, &created, &label); err != nil {
			return rota.Contents{}, explain(err)
		}
		c.ChangedAt = fromMicros(changed)
		if !id.Valid {
			continue
		}
		if n := len(c.Versions); n == 0 || c.Versions[n-1].ID != id.String {
			c.Versions = append(c.Versions, rota.Version{ID: id.String, CreatedAt: fromMicros(created.Int64)})
		}
		v := &c.Versions[len(c.Versions)-1]
		v.Labels = append(v.Labels, rota.Label(label.String))
	}
	if err := rows.Err(); err != nil {
		return rota.Contents{}, explain(err)
	}
	return c, nil
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
	return s.fail("put version "+r.Version, s.db.writer.do(ctx, secretLock(s.name), put))
}

// put prepares storing a version, for a transaction that has the secret's lock.
func (s *secretStore) put(ctx context.Context, r rota.PutRequest) (func(*tx) error, error) {
	op := "put version " + r.Version
	if s.name == "" || r.Version == "" || r.Credential.IsZero() || len(r.Labels) == 0 || slices.Contains(r.Labels, "") {
		return nil, s.refuse(op, errors.New("a version needs a secret's name, an id, a credential and a label"))
	}
	for name, value := range r.Credential.Fields() {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, s.refuse(op, rota.WithRemedies(fmt.Errorf("field %q is not UTF-8 text", name), rota.Outside("encode it in base64")))
		}
	}
	key, err := s.db.keys.ensure(ctx, s.db, s.name)
	if err != nil {
		return nil, s.fail(op, err)
	}
	value, err := encrypt(key, s.name, r.Version, r.Credential)
	if err != nil {
		return nil, s.fail(op, err)
	}
	// Current first: it moves Previous, which may also have been requested.
	labels := slices.Clone(r.Labels)
	slices.SortStableFunc(labels, func(a, b rota.Label) int { return isCurrent(b) - isCurrent(a) })

	return func(t *tx) error {
		var stored []byte
		found, err := t.row(sqlValue, []any{s.name, r.Version}, &stored)
		if err != nil {
			return err
		}
		if len(stored) > 0 {
			c, err := decrypt(key, s.name, r.Version, stored)
			if err != nil {
				return s.refuse(op, err)
			}
			if !c.Equal(r.Credential) {
				return s.refuse(op, fmt.Errorf("it already exists with a different credential: %w", rota.ErrConflict))
			}
			return nil
		}
		t.enqueue(sqlTouchSecret, s.name, micros(t.now), newSuffix())
		if found { // announced through the endpoint, without a value
			t.enqueue(sqlUpdateVersion, s.name, r.Version, value)
		} else {
			t.enqueue(sqlInsertVersion, s.name, r.Version, value, micros(t.now))
		}
		for _, l := range labels {
			holder := ""
			if l == rota.LabelCurrent { // because Previous follows it
				if holder, err = t.holder(s.name, l); err != nil {
					return err
				}
			}
			t.label(s.name, l, holder, r.Version)
		}
		t.enqueue(sqlDropUnlabeled, s.name)
		return nil
	}, nil
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
	return s.fail(op, s.db.writer.do(ctx, secretLock(s.name), move))
}

// move prepares moving a label, for a transaction that has the secret's lock.
func (s *secretStore) move(r rota.MoveRequest) (op string, run func(*tx) error, err error) {
	op = fmt.Sprintf("move %s from %q to %q", r.Label, r.From, r.To)
	if s.name == "" || r.Label == "" {
		return op, nil, s.refuse(op, errors.New("a move needs a secret's name and a label"))
	}
	return op, func(t *tx) error {
		var holder string
		var found int
		if _, err := t.row(sqlBeforeMove, []any{s.name, string(r.Label), r.To}, &holder, &found); err != nil {
			return err
		}
		if holder == r.To {
			return nil
		}
		if holder != r.From {
			return s.refuse(op, fmt.Errorf("%q has it: %w", holder, rota.ErrConflict))
		}
		if r.To == "" && r.Label == rota.LabelCurrent {
			return s.refuse(op, fmt.Errorf("a secret always has a current version: %w", rota.ErrConflict))
		}
		if r.To != "" && found == 0 {
			return s.refuse(op, rota.ErrNotFound)
		}
		t.enqueue(sqlTouchSecret, s.name, micros(t.now), newSuffix())
		t.label(s.name, r.Label, holder, r.To)
		t.enqueue(sqlDropUnlabeled, s.name)
		return nil
	}, nil
}

// holder is the version that carries the label, "" for none.
func (t *tx) holder(secret string, l rota.Label) (string, error) {
	var version string
	_, err := t.row(sqlLabelHolder, []any{secret, string(l)}, &version)
	return version, err
}

// label moves a label from holder to another version, "" for none. Previous
// follows Current.
func (t *tx) label(secret string, l rota.Label, holder, to string) {
	if to == "" {
		t.enqueue(sqlDropLabel, secret, string(l))
	} else {
		t.enqueue(sqlSetLabel, secret, string(l), to)
	}
	if l == rota.LabelCurrent && holder != "" && holder != to {
		t.enqueue(sqlSetLabel, secret, string(rota.LabelPrevious), holder)
	}
}
