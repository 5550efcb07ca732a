package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

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
	c, err := s.describe(func(query string, args []any, scan func(scanner) error) error {
		return explain(s.db.reads.rows(ctx, s.db.reader, query, args, scan))
	})
	return c, s.fail("describe versions", err)
}

func (s *secretStore) describe(rows rowsReader) (rota.Contents, error) {
	var c rota.Contents
	err := rows(sqlDescribe, []any{s.name}, func(row scanner) error {
		var r contentsRow
		if err := row.Scan(&r.changed, &r.version, &r.created, &r.label); err != nil {
			return err
		}
		r.addTo(&c)
		return nil
	})
	sortVersions(&c)
	return c, err
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
	err = s.db.writer.do(ctx, secretLock(s.name), func(t *tx) error { return s.change(t, put) })
	return s.fail("put version "+r.Version, err)
}

// change is a prepared change of a secret's versions. It reads in a transaction
// that has the secret's lock, and returns what to write there, nothing if
// everything is as requested.
type change func(*tx) ([]*statement, error)

// change carries out changes in order. Only after the last one do versions
// without a label go.
func (s *secretStore) change(t *tx, changes ...change) error {
	wrote := false
	for _, c := range changes {
		writes, err := c(t)
		if err != nil {
			return err
		}
		if len(writes) > 0 && !wrote {
			t.enqueue(sqlTouchSecret, s.name, micros(t.now), newSuffix())
			wrote = true
		}
		for _, w := range writes {
			t.enqueue(w.query, w.args...)
		}
	}
	if wrote {
		t.enqueue(sqlDropUnlabeled, s.name)
	}
	return nil
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

	return func(t *tx) ([]*statement, error) {
		key, value := known, sealed
		if key == nil {
			var one int
			exists, err := t.row(sqlHasSecret, []any{s.name}, &one)
			if err != nil {
				return nil, err
			}
			if key, err = s.db.keys.dataKey(t, s.name, !exists); err != nil {
				return nil, err
			}
			if value, err = encrypt(key, s.name, r.Version, r.Credential); err != nil {
				return nil, err
			}
		}
		var stored []byte
		found, err := t.row(sqlValue, []any{s.name, r.Version}, &stored)
		if err != nil {
			return nil, err
		}
		if len(stored) > 0 {
			c, err := decrypt(key, s.name, r.Version, stored)
			if err != nil {
				return nil, s.refuse(op, err)
			}
			if !c.Equal(r.Credential) {
				return nil, s.refuse(op, fmt.Errorf("it already exists with a different credential: %w", rota.ErrConflict))
			}
			return nil, nil
		}
		writes := []*statement{{query: sqlInsertVersion, args: []any{s.name, r.Version, value, micros(t.now)}}}
		if found { // announced through the endpoint, without a value
			writes = []*statement{{query: sqlUpdateVersion, args: []any{s.name, r.Version, value}}}
		}
		for _, l := range labels {
			holder := ""
			if l == rota.LabelCurrent { // because Previous follows it
				if holder, err = t.holder(s.name, l); err != nil {
					return nil, err
				}
			}
			writes = append(writes, s.label(l, holder, r.Version)...)
		}
		return writes, nil
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
	err = s.db.writer.do(ctx, secretLock(s.name), func(t *tx) error { return s.change(t, move) })
	return s.fail(op, err)
}

// move prepares moving a label.
func (s *secretStore) move(r rota.MoveRequest) (op string, run change, err error) {
	op = fmt.Sprintf("move %s from %q to %q", r.Label, r.From, r.To)
	if s.name == "" || r.Label == "" {
		return op, nil, s.refuse(op, errors.New("a move needs a secret's name and a label"))
	}
	return op, func(t *tx) ([]*statement, error) {
		var holder string
		var found int
		if _, err := t.row(sqlBeforeMove, []any{s.name, string(r.Label), r.To}, &holder, &found); err != nil {
			return nil, err
		}
		if holder == r.To {
			return nil, nil
		}
		if holder != r.From {
			return nil, s.refuse(op, fmt.Errorf("%q has it: %w", holder, rota.ErrConflict))
		}
		if r.To == "" && r.Label == rota.LabelCurrent {
			return nil, s.refuse(op, fmt.Errorf("a secret always has a current version: %w", rota.ErrConflict))
		}
		if r.To != "" && found == 0 {
			return nil, s.refuse(op, rota.ErrNotFound)
		}
		return s.label(r.Label, holder, r.To), nil
	}, nil
}

// holder is the version that carries the label, "" for none.
func (t *tx) holder(secret string, l rota.Label) (string, error) {
	var version string
	_, err := t.row(sqlLabelHolder, []any{secret, string(l)}, &version)
	return version, err
}

// label moves a label from holder to another version, "" for none. Previous
// follows Current, and Pending leaves the version that was current.
func (s *secretStore) label(l rota.Label, holder, to string) []*statement {
	set := func(l rota.Label, version string) *statement {
		return &statement{query: sqlSetLabel, args: []any{s.name, string(l), version}}
	}
	moved := set(l, to)
	if to == "" {
		moved = &statement{query: sqlDropLabel, args: []any{s.name, string(l)}}
	}
	if l == rota.LabelCurrent && holder != "" && holder != to {
		pending := &statement{query: sqlDropLabelOf, args: []any{s.name, string(rota.LabelPending), holder}}
		return []*statement{moved, set(rota.LabelPrevious, holder), pending}
	}
	return []*statement{moved}
}
