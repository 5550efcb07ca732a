package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rota"
)

// Outbox keeps events that notifiers hear of several at once.
func (db *DB) Outbox() rota.Outbox { return outbox{db} }

type outbox struct{ db *DB }

// maxDigest bounds how many events go into one message; what is more goes into
// the next.
const maxDigest = 1000

// Keep implements [rota.Outbox].
func (o outbox) Keep(ctx context.Context, notifier string, e rota.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = o.db.writer.do(ctx, "", func(t *tx) error {
		_, err := t.exec(sqlKeepEvent, notifier, e.ID, micros(t.now), string(text))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep event %s for %s: %w", e.ID, notifier, err)
	}
	return nil
}

// Kept implements [rota.Outbox].
func (o outbox) Kept(ctx context.Context, notifier string) ([]rota.Event, time.Time, error) {
	fail := func(err error) ([]rota.Event, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("events kept for %s: %w", notifier, err)
	}
	rows, err := o.db.reader.QueryContext(ctx, sqlKeptEvents, notifier, maxDigest)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	var events []rota.Event
	var since time.Time
	for rows.Next() {
		var kept int64
		var text string
		var e rota.Event
		err := rows.Scan(&kept, &text)
		if err == nil {
			err = json.Unmarshal([]byte(text), &e)
		}
		if err != nil {
			return fail(err)
		}
		if len(events) == 0 {
			since = fromMicros(kept)
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return events, since, nil
}

// Drop implements [rota.Outbox].
func (o outbox) Drop(ctx context.Context, notifier string, ids []string) error {
	err := o.db.writer.do(ctx, "", func(t *tx) error {
		for _, id := range ids {
			t.later(sqlDropEvent, notifier, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop events sent to %s: %w", notifier, err)
	}
	return nil
}
