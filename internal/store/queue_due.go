package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Due lists the enrolled secrets whose time has come, longest overdue first. It
// leaves out paused secrets, and secrets with an unexpired lease, whether its
// holder is dead or alive. While everything is frozen there are none.
func (db Queue) Due(ctx context.Context, q rotation.DueQuery) ([]rotation.Due, error) {
	fail := func(err error) ([]rotation.Due, error) {
		return nil, fmt.Errorf("secrets that are due: %w", explain(err))
	}
	now := micros(q.Now)
	rows, err := db.reader.QueryContext(ctx, sqlDue, now, now, micros(q.After.NextAt), q.After.Secret, q.Limit)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	var due []rotation.Due
	for rows.Next() {
		var d rotation.Due
		var next int64
		if err := rows.Scan(&d.Secret, &next, &d.Fence); err != nil {
			return fail(err)
		}
		d.NextAt = fromMicros(next)
		due = append(due, d)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return due, nil
}

// NextDue is the next time after now at which an enrolled, unpaused secret
// becomes due; zero for never.
func (db Queue) NextDue(ctx context.Context, now time.Time) (time.Time, error) {
	var next int64
	err := db.reader.QueryRowContext(ctx, sqlNextDue, micros(now)).Scan(&next)
	if err != nil && !isNoRows(err) {
		return time.Time{}, fmt.Errorf("next due secret: %w", explain(err))
	}
	return fromMicros(next), nil
}

// Overdue lists enrolled secrets with something that was due, or started and
// never finished, at that time or earlier, and that nobody has been notified
// about yet. It returns at most limit names that sort after the given one, in
// order.
func (db Queue) Overdue(ctx context.Context, since time.Time, after string, limit int) ([]string, error) {
	names, err := db.readStrings(ctx, sqlOverdue, micros(since), after, limit)
	if err != nil {
		return nil, fmt.Errorf("overdue secrets: %w", err)
	}
	return names, nil
}

// readStrings reads a single text column.
func (db *core) readStrings(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := db.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, explain(err)
		}
		all = append(all, text)
	}
	return all, explain(rows.Err())
}

// overdueFrom is since when something that nobody has been notified about has
// been due, or when it will be; 0 if there's nothing. It uses the same dates as
// [rotation.Lateness].
func overdueFrom(p rotation.Progress) int64 {
	var first time.Time
	for _, t := range []time.Time{p.Status.DueAt, p.Status.RotateAt, p.Status.BegunAt} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.Equal(p.LateNotified) {
		return 0
	}
	return micros(first)
}

// clearFailures forgets failures that block another attempt, after a person
// changed something, and the date of the next turn. Saving this progress
// without a new look leaves the secret due.
func clearFailures(p *rotation.Progress) {
	p.NextAt = time.Time{}
	p.Failure = nil
	p.Rejections, p.RejectedAt, p.RejectedFor = 0, time.Time{}, nil
}
