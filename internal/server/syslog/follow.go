package syslog

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rota-dev/rota/internal/store"
)

// Source is the audit, and the record of how much of it was sent.
type Source interface {
	Read(ctx context.Context, q store.AuditQuery) ([]store.AuditRecord, error)
	Exported(ctx context.Context, name string) (int64, error)
	MarkExported(ctx context.Context, name string, seq int64) error
}

// batch is how many entries are sent at once.
const batch = 500

// Follow sends every entry of the audit, in order and at least once, including
// those from before a restart, until ctx ends. changed signals that there may
// be more. If the server doesn't respond, it retries with backoff.
func Follow(ctx context.Context, c *Client, s Source, changed <-chan struct{}, log *slog.Logger) error {
	const name = "syslog"
	defer func() { _ = c.Close() }()
	pause := &backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: 5 * time.Minute}
	for ctx.Err() == nil {
		n, err := sendNext(ctx, c, s, name)
		switch {
		case err != nil:
			again := pause.NextBackOff()
			if ctx.Err() == nil {
				log.ErrorContext(ctx, "send the audit", "error", err, "again_in", again.Round(time.Millisecond))
			}
			wait(ctx, nil, again)
		case n < batch:
			pause.Reset()
			wait(ctx, changed, time.Minute)
		}
	}
	return nil
}

// sendNext sends the next batch and returns its size.
func sendNext(ctx context.Context, c *Client, s Source, name string) (int, error) {
	sent, err := s.Exported(ctx, name)
	if err != nil {
		return 0, err
	}
	records, err := s.Read(ctx, store.AuditQuery{After: sent, Limit: batch})
	if err != nil || len(records) == 0 {
		return 0, err
	}
	if err := c.Send(ctx, records); err != nil {
		return 0, err
	}
	return len(records), s.MarkExported(ctx, name, records[len(records)-1].Seq)
}

func wait(ctx context.Context, changed <-chan struct{}, atMost time.Duration) {
	t := time.NewTimer(atMost)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-t.C:
	}
}
