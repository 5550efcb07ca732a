package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

// Records returns the store's secrets with everything the Secrets Manager
// endpoint shows about them. They are the same secrets as [DB.Secret]'s: a
// credential stored there is the JSON object of its fields here, and text that
// is such an object is a credential there. When Rota puts or moves something,
// it deletes the versions without a label; until then they are kept.
func (db *DB) Records() record.Records { return records{db} }

type records struct{ db *DB }

func recordError(name string, err error) error {
	if errors.Is(err, record.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%s: secret %s: %w", system, name, err)
}

// View reads a secret in one query.
func (r records) View(ctx context.Context, name string) (record.Record, error) {
	stmt, err := r.db.reads.prepare(ctx, r.db.reader, sqlRecord) //nolint:sqlclosecheck // it is kept for the next call
	if err != nil {
		return record.Record{}, recordError(name, explain(err))
	}
	rows, err := stmt.QueryContext(ctx, name)
	if err != nil {
		return record.Record{}, recordError(name, explain(err))
	}
	found, err := scanRecords(rows)
	if err != nil {
		return record.Record{}, recordError(name, explain(err))
	}
	if len(found) == 0 || found[0].Expired(r.db.Now()) {
		return record.Record{}, record.ErrNotFound
	}
	return found[0], nil
}

// Value reads and decrypts a version in one query. The days of access are
// written, together with the entries, when they change.
func (r records) Value(ctx context.Context, name, version string, entries ...rotation.Entry) (record.Value, error) {
	now := r.db.Now()
	var sealed []byte
	var accessed int64
	err := r.db.reads.row(ctx, r.db.reader, sqlRecordValue, []any{name, version, micros(now)}, &sealed, &accessed)
	if isNoRows(err) || (err == nil && len(sealed) == 0) {
		return record.Value{}, record.ErrNotFound
	}
	if err != nil {
		return record.Value{}, recordError(name, explain(err))
	}
	key, err := r.db.keys.find(ctx, r.db.reader, name)
	if err == nil && key == nil {
		err = errNoDataKey
	}
	if err != nil {
		return record.Value{}, recordError(name, err)
	}
	value, err := openValue(key, name, version, sealed)
	if err != nil {
		return record.Value{}, recordError(name, err)
	}
	today := micros(record.Day(now))
	if len(entries) == 0 && accessed >= today {
		return value, nil
	}
	lock := ""
	if accessed < today {
		lock = secretLock(name)
	}
	err = r.db.writer.do(ctx, lock, func(t *tx) error {
		if accessed < today {
			t.enqueue(sqlVersionAccess, name, version, today)
			t.enqueue(sqlSecretAccess, name, today)
		}
		return t.append(entries)
	})
	if err != nil {
		return record.Value{}, recordError(name, err)
	}
	return value, nil
}

// afterEveryName sorts after every name.
const afterEveryName = "\U0010ffff"

// List reads one page in one query.
func (r records) List(ctx context.Context, p record.Page) ([]record.Record, error) {
	name, at := p.After.Name, micros(p.After.At)
	if p.After == (record.Cursor{}) {
		at = -1
		if p.Descending {
			name, at = afterEveryName, math.MaxInt64
		}
	}
	rows, err := r.db.reader.QueryContext(ctx, sqlRecords(p), micros(r.db.Now()), name, at, p.Limit)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", explain(err))
	}
	found, err := scanRecords(rows)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", explain(err))
	}
	return found, nil
}

// Due reads names by their index.
func (r records) Due(ctx context.Context, limit int) ([]string, error) {
	rows, err := r.db.reader.QueryContext(ctx, sqlDueRecords, micros(r.db.Now()), limit)
	if err != nil {
		return nil, fmt.Errorf("secrets that are due: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("secrets that are due: %w", explain(err))
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("secrets that are due: %w", explain(err))
	}
	return names, nil
}

// Update reads the secret under the write lock, and writes what change altered.
func (r records) Update(ctx context.Context, name string, change func(*record.Change) error, entries ...rotation.Entry) error {
	if _, err := r.db.keys.find(ctx, r.db.reader, name); err != nil {
		return recordError(name, err)
	}
	return r.db.writer.do(ctx, secretLock(name), func(t *tx) error {
		u := recordUpdate{tx: t, keys: r.db.keys, name: name, key: r.db.keys.opened(name)}
		if err := u.read(); err != nil {
			return err
		}
		c := record.NewChange(u.before.Clone(), u.exists, t.now.UTC().Truncate(time.Microsecond), u.value)
		if err := change(c); err != nil {
			return err
		}
		if c.Remove || u.expired {
			u.remove()
		}
		if !c.Remove {
			if err := u.write(c); err != nil {
				return err
			}
		}
		return t.append(entries)
	})
}

// Record adds entries to the audit.
func (r records) Record(ctx context.Context, entries ...rotation.Entry) error {
	return r.db.Audit().Record(ctx, entries...)
}
