package rota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Chooser is implemented by notifiers that do not want to hear of everything.
type Chooser interface {
	Wants(k EventKind) bool
}

// Only is a notifier that hears of some kinds alone.
func Only(n Notifier, kinds ...EventKind) Notifier {
	return &chosenOnly{Notifier: n, kinds: kinds}
}

type chosenOnly struct {
	Notifier
	kinds []EventKind
}

// Name tells it from the same notifier with other kinds.
func (c *chosenOnly) Name() string {
	names := make([]string, len(c.kinds))
	for i, k := range c.kinds {
		names[i] = string(k)
	}
	return c.Notifier.Name() + " of " + strings.Join(names, ", ")
}

// Wants implements [Chooser].
func (c *chosenOnly) Wants(k EventKind) bool { return slices.Contains(c.kinds, k) }

// Preflight implements [Preflighter] where the notifier does.
func (c *chosenOnly) Preflight(ctx context.Context) []Finding { return preflightOf(c.Notifier, ctx) }

// Outbox keeps events for notifiers that hear of several at once, until they
// are sent. Package store implements it. What was kept is durable.
type Outbox interface {
	// Keep keeps an event. The same event again, by its ID, is no error.
	Keep(ctx context.Context, notifier string, e Event) error
	// Kept gives the events of a notifier, the oldest first, and since when the
	// oldest is kept.
	Kept(ctx context.Context, notifier string) ([]Event, time.Time, error)
	// Drop removes events that were sent.
	Drop(ctx context.Context, notifier string, ids []string) error
}

// Digester is a notifier that gathers events, and sends them in one message
// when the oldest has waited for Every. Flush does that: it is to be called
// from time to time.
type Digester struct {
	Notifier Notifier
	Every    time.Duration
	Outbox   Outbox
	Now      func() time.Time // defaults to time.Now
}

var _ Notifier = (*Digester)(nil)

// Name tells it from the same notifier without a digest.
func (d *Digester) Name() string {
	return fmt.Sprintf("%s every %s", d.Notifier.Name(), FormatDuration(d.Every))
}

// Wants implements [Chooser].
func (d *Digester) Wants(k EventKind) bool { return wants(d.Notifier, k) }

// Notify keeps the event.
func (d *Digester) Notify(ctx context.Context, e Event) error {
	if d.Outbox == nil {
		return errNoOutbox
	}
	return d.Outbox.Keep(ctx, d.Name(), e)
}

// Preflight implements [Preflighter] where the notifier does.
func (d *Digester) Preflight(ctx context.Context) []Finding { return preflightOf(d.Notifier, ctx) }

// Flush sends what is kept, if it is time. After an error it is kept on.
func (d *Digester) Flush(ctx context.Context) error {
	if d.Outbox == nil {
		return errNoOutbox
	}
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	events, since, err := d.Outbox.Kept(ctx, d.Name())
	if err != nil || len(events) == 0 || now().Sub(since) < d.Every {
		return err
	}
	digest := newEvent("", Digest, events[0].ID, events[len(events)-1].ID, "", since)
	digest.Version, digest.Credential, digest.At = "", "", now().UTC()
	digest.Events = events
	digest.Reason = fmt.Sprintf("%d events since %s", len(events), stamp(since))
	if err := d.Notifier.Notify(ctx, digest); err != nil {
		return fmt.Errorf("digest to %s: %w", d.Notifier.Name(), err)
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return d.Outbox.Drop(ctx, d.Name(), ids)
}

var errNoOutbox = errors.New("a digest needs Rota's own store, which is not open")

func wants(n Notifier, k EventKind) bool {
	c, ok := n.(Chooser)
	return !ok || c.Wants(k)
}

func preflightOf(n Notifier, ctx context.Context) []Finding {
	if p, ok := n.(Preflighter); ok {
		return p.Preflight(ctx)
	}
	return []Finding{{OK: true, Check: n.Name()}}
}
