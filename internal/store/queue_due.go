package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Due lists the enrolled secrets whose time has come, longest overdue first. It
// leaves out paused secrets, and secrets with an unexpired lease, unless the
// lease's holder is certainly dead: what a killed process left half done is due
// immediately. While everything is frozen there are none.
func (db Queue) Due(ctx context.Context, q rotation.DueQuery) ([]rotation.Due, error) {
	dead := map[string]bool{}
	after := q.After
	var due []rotation.Due
	for {
		page, err := db.duePage(ctx, q.Now, after, q.Limit)
		if err != nil {
			return nil, fmt.Errorf("secrets that are due: %w", explain(err))
		}
		for _, d := range page {
			after = d.Due
			if d.leasedBy == nil || db.isDead(*d.leasedBy, dead) {
				if due = append(due, d.Due); len(due) == q.Limit {
					return due, nil
				}
			}
		}
		if len(page) < q.Limit {
			return due, nil
		}
	}
}

// dueRow is a secret that is due, and the instance that has an unexpired lease
// of it, if any.
type dueRow struct {
	rotation.Due
	leasedBy *string
}

// duePage reads up to limit of them, leased or not. Few are: those being worked
// on right now.
func (db Queue) duePage(ctx context.Context, now time.Time, after rotation.Due, limit int) ([]dueRow, error) {
	rows, err := db.reader.QueryContext(ctx, sqlDue, micros(now), micros(now), micros(after.NextAt), after.Secret, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []dueRow
	for rows.Next() {
		var d dueRow
		var next int64
		if err := rows.Scan(&d.Secret, &next, &d.Fence, &d.leasedBy); err != nil {
			return nil, err
		}
		d.NextAt = fromMicros(next)
		page = append(page, d)
	}
	return page, rows.Err()
}

// isDead asks once about each instance.
func (db Queue) isDead(instance string, known map[string]bool) bool {
	dead, asked := known[instance]
	if !asked {
		dead = db.liveness.dead(instance)
		known[instance] = dead
	}
	return dead
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
	p.Rejections, p.RejectedAt, p.RejectedFor, p.RejectedWhy = 0, time.Time{}, nil, ""
}
