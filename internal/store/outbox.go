package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Outbox stores events for notifiers that get several in one message.
func (db *DB) Outbox() rotation.Outbox { return outbox{db} }

type outbox struct{ db *DB }

const (
	// maxDigest bounds how many events go into one message; the rest go into
	// the next.
	maxDigest = 1000
	// maxBacklog bounds how many events wait for one notifier.
	maxBacklog = 10_000
)

// Keep implements [rotation.Outbox].
func (o outbox) Keep(ctx context.Context, notifier string, e rota.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = o.db.writer.do(ctx, "", func(t *tx) error {
		_, err := t.exec(sqlInsertEvent, notifier, e.ID, micros(t.now), string(text))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep event %s for %s: %w", e.ID, notifier, err)
	}
	return nil
}

// Take implements [rotation.Outbox]. Beyond maxBacklog events the oldest are
// dropped, and the audit says so.
func (o outbox) Take(ctx context.Context, r rotation.TakeRequest) (rotation.Taken, error) {
	var taken rotation.Taken
	err := o.db.writer.do(ctx, "outbox "+r.Notifier, func(t *tx) (err error) {
		taken, err = o.take(t, r)
		return err
	})
	if err != nil {
		return rotation.Taken{}, fmt.Errorf("events kept for %s: %w", r.Notifier, err)
	}
	return taken, nil
}

func (o outbox) take(t *tx, r rotation.TakeRequest) (rotation.Taken, error) {
	var taken rotation.Taken
	kept, err := t.count(sqlCountEvents, r.Notifier)
	if err != nil || kept == 0 {
		return taken, err
	}
	if taken.Lost = max(0, kept-maxBacklog); taken.Lost > 0 {
		t.enqueue(sqlDropOldest, r.Notifier, taken.Lost)
		lost := rotation.Entry{
			At: t.now, Actor: "rota", Secret: rotation.Digests, Step: string(rotation.StepNotify), Object: r.Notifier, Outcome: rotation.OutcomeFailed,
			Detail: fmt.Sprintf("%d events were dropped: nothing could be sent for too long", taken.Lost),
		}
		if err := t.append([]rotation.Entry{lost}); err != nil {
			return taken, err
		}
	}
	err = t.rows(sqlPendingEvents, []any{r.Notifier, micros(t.now), maxDigest}, func(row scanner) error {
		var at int64
		var text string
		var e rota.Event
		if err := row.Scan(&at, &text); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return err
		}
		if len(taken.Events) == 0 {
			taken.Since = fromMicros(at)
		}
		taken.Events = append(taken.Events, e)
		return nil
	})
	if err != nil || taken.Since.After(r.KeptBy) {
		taken.Events = nil
		return taken, err
	}
	until := micros(t.now.Add(r.For))
	for _, e := range taken.Events {
		t.enqueue(sqlClaimEvent, r.Notifier, e.ID, until)
	}
	return taken, nil
}

// Settle implements [rotation.Outbox].
func (o outbox) Settle(ctx context.Context, r rotation.SettleRequest) error {
	err := o.db.writer.do(ctx, "", func(t *tx) error {
		for _, id := range r.IDs {
			t.enqueue(sqlDropEvent, r.Notifier, id)
		}
		return t.append([]rotation.Entry{r.Entry})
	})
	if err != nil {
		return fmt.Errorf("record the result for the events of %s: %w", r.Notifier, err)
	}
	return nil
}

// OutboxBacklog is what's waiting for one notifier.
type OutboxBacklog struct {
	Notifier string
	Events   int
	Since    time.Time // the oldest
}

// OutboxBacklog lists the events waiting for notifiers, sorted by the
// notifier's name.
func (db Overview) OutboxBacklog(ctx context.Context) ([]OutboxBacklog, error) {
	fail := func(err error) ([]OutboxBacklog, error) { return nil, fmt.Errorf("kept events: %w", explain(err)) }
	rows, err := db.reader.QueryContext(ctx, sqlBacklog)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	var all []OutboxBacklog
	for rows.Next() {
		var k OutboxBacklog
		var since int64
		if err := rows.Scan(&k.Notifier, &k.Events, &since); err != nil {
			return fail(err)
		}
		k.Since = fromMicros(since)
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return all, nil
}
