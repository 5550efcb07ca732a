package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// enrollPerCommit bounds how long other writes wait behind an enrollment.
const enrollPerCommit = 5000

// Enrollment is what an Enroll changed.
type Enrollment struct {
	// Changed counts secrets that are new or whose configuration changed. They
	// are due immediately, and steps that had been given up are retried.
	Changed int
	// Removed counts secrets that are no longer configured. Their records are
	// kept.
	Removed int
	// Behind means that nothing was changed, because another configuration is
	// active and a live replica runs it.
	Behind bool
}

// Enroll makes these the configured secrets. The map's values are fingerprints
// of each secret's configuration: a secret with a new fingerprint is due
// immediately. This configuration is the active one from now on, whichever was
// before.
func (db Queue) Enroll(ctx context.Context, configured map[string]string) (Enrollment, error) {
	fail := func(err error) (Enrollment, error) { return Enrollment{}, fmt.Errorf("enroll: %w", err) }
	changed, gone, err := db.enrollmentDiff(ctx, configured)
	if err != nil {
		return fail(err)
	}
	for names := range slices.Chunk(changed, enrollPerCommit) {
		if err := db.enrollRows(ctx, names, configured, func(t *tx, rows string) error {
			_, err := t.exec(fmt.Sprintf(sqlEnroll, t.committer.dialect.array), rows, micros(t.now))
			return err
		}); err != nil {
			return fail(err)
		}
	}
	for names := range slices.Chunk(gone, enrollPerCommit) {
		if err := db.enrollRows(ctx, names, configured, func(t *tx, rows string) error {
			_, err := t.exec(fmt.Sprintf(sqlUnenroll, t.committer.dialect.array), rows)
			return err
		}); err != nil {
			return fail(err)
		}
	}
	mine := configurationHash(configured)
	s, err := db.replicaState(ctx, mine)
	if err != nil {
		return fail(err)
	}
	if err := db.register(ctx, s, mine, true); err != nil {
		return fail(err)
	}
	return Enrollment{Changed: len(changed), Removed: len(gone)}, nil
}

// enrollmentDiff compares what is configured with what is enrolled. Usually
// little or nothing has changed.
func (db *core) enrollmentDiff(ctx context.Context, configured map[string]string) (changed, gone []string, err error) {
	rows, err := db.reader.QueryContext(ctx, sqlEnrolled)
	if err != nil {
		return nil, nil, explain(err)
	}
	defer func() { _ = rows.Close() }()
	missing := maps.Clone(configured)
	for rows.Next() {
		var name, fingerprint string
		if err := rows.Scan(&name, &fingerprint); err != nil {
			return nil, nil, explain(err)
		}
		now, ok := configured[name]
		switch {
		case !ok:
			gone = append(gone, name)
		case now == fingerprint:
			delete(missing, name)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, nil, explain(err)
	}
	return slices.Sorted(maps.Keys(missing)), gone, nil
}

// enrollRows writes a batch of secrets, passed as a JSON array of names and
// fingerprints.
func (db *core) enrollRows(ctx context.Context, names []string, configured map[string]string, write func(t *tx, rows string) error) error {
	rows := make([][2]string, len(names))
	for i, name := range names {
		rows[i] = [2]string{name, configured[name]}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return db.writer.do(ctx, enrollLock, func(t *tx) error { return write(t, string(text)) })
}
