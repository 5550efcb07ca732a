package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Due lists the secrets that are enrolled and whose time has come, the longest
// overdue first. It leaves out those that are paused, and those that somebody
// has a lease on, dead or alive, until its time is over. While all are frozen
// there are none.
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

// NextDue is the next time after now at which an enrolled secret that is not
// paused will be due; zero for never.
func (db Queue) NextDue(ctx context.Context, now time.Time) (time.Time, error) {
	var next int64
	err := db.reader.QueryRowContext(ctx, sqlNextDue, micros(now)).Scan(&next)
	if err != nil && !isNoRows(err) {
		return time.Time{}, fmt.Errorf("when a secret is due next: %w", explain(err))
	}
	return fromMicros(next), nil
}

// Overdue lists enrolled secrets of which something was due, or was begun and
// never ended, at that time or earlier, and of which nobody was told yet; by
// name, those after a name, at most limit of them.
func (db Queue) Overdue(ctx context.Context, since time.Time, after string, limit int) ([]string, error) {
	names, err := db.readStrings(ctx, sqlOverdue, micros(since), after, limit)
	if err != nil {
		return nil, fmt.Errorf("secrets that may be late: %w", err)
	}
	return names, nil
}

// readStrings reads a column of texts.
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

// overdueFrom is since when something is due, or will be, that nobody was told
// of as late; 0 where there is nothing of that kind. It goes by the dates that
// [rota.Lateness] goes by.
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

// clearFailures drops the failures that stand in the way of another try, once a
// person has changed something, and the date of the next look: whoever saves
// this without a look leaves the secret due.
func clearFailures(p *rotation.Progress) {
	p.NextAt = time.Time{}
	p.Failure = nil
	p.Rejections, p.RejectedAt = 0, time.Time{}
}
