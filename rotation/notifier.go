package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"slices"
	"strings"
	"sync"
	"time"
)

// Only is a notifier that hears of some kinds alone.
func Only(n rota.Notifier, kinds ...rota.EventKind) rota.Notifier {
	return &chosenOnly{Notifier: n, kinds: kinds}
}

type chosenOnly struct {
	rota.Notifier
	kinds []rota.EventKind
}

// Name tells it from the same notifier with other kinds.
func (c *chosenOnly) Name() string {
	names := make([]string, len(c.kinds))
	for i, k := range c.kinds {
		names[i] = string(k)
	}
	return c.Notifier.Name() + " of " + strings.Join(names, ", ")
}

// Wants implements [rota.Chooser].
func (c *chosenOnly) Wants(k rota.EventKind) bool {
	return slices.Contains(c.kinds, k) && wants(c.Notifier, k)
}

// Preflight implements [rota.Preflighter] where the notifier does.
func (c *chosenOnly) Preflight(ctx context.Context) []rota.Finding {
	return preflightOf(ctx, c.Notifier)
}

// Outbox keeps events for notifiers that hear of several at once, until they
// are sent. Package store implements it. What was kept is durable.
type Outbox interface {
	// Keep keeps an event. The same event again, by its ID, is no error.
	Keep(ctx context.Context, notifier string, e rota.Event) error
	// Take gives a notifier's events to be sent, and none as long as the oldest
	// is not old enough.
	Take(ctx context.Context, r TakeRequest) (Taken, error)
	// Settle removes events that were sent, and writes to the audit what became
	// of them, as one.
	Settle(ctx context.Context, r SettleRequest) error
}

// TakeRequest asks for the events of a notifier.
type TakeRequest struct {
	Notifier string
	// KeptBy is when the oldest must have been kept, or earlier.
	KeptBy time.Time
	// For is how long nobody else is given them.
	For time.Duration
}

// Taken are events to be sent, the oldest first.
type Taken struct {
	Events []rota.Event
	Since  time.Time // when the oldest was kept
	// Lost is how many older ones were given up, because there were too many.
	Lost int
}

// SettleRequest says what became of events.
type SettleRequest struct {
	Notifier string
	IDs      []string // of those that were sent
	Entry    Entry
}

// Digests is the name in the audit under which sent digests are noted. No secret
// can have it.
const Digests = "(digests)"

// Digester is a notifier that gathers events, and sends them in one message
// when the oldest has waited for Every. Flush does that: it is to be called
// from time to time. It may be called by several processes.
type Digester struct {
	Notifier rota.Notifier
	Every    time.Duration
	Outbox   Outbox
	Now      func() time.Time // defaults to time.Now

	mu       sync.Mutex
	attempts int       // failures in a row
	retryAt  time.Time // not before
}

var _ rota.Notifier = (*Digester)(nil)

// Name tells it from the same notifier without a digest.
func (d *Digester) Name() string {
	return fmt.Sprintf("%s every %s", d.Notifier.Name(), rota.FormatDuration(d.Every))
}

// Wants implements [rota.Chooser].
func (d *Digester) Wants(k rota.EventKind) bool { return wants(d.Notifier, k) }

// Notify keeps the event.
func (d *Digester) Notify(ctx context.Context, e rota.Event) error {
	if d.Outbox == nil {
		return errNoOutbox
	}
	return d.Outbox.Keep(ctx, d.Name(), e)
}

// Preflight implements [rota.Preflighter] where the notifier does.
func (d *Digester) Preflight(ctx context.Context) []rota.Finding { return preflightOf(ctx, d.Notifier) }

// Flush sends what is kept, if it is time. What is not taken is kept on and
// tried again, ever less often.
func (d *Digester) Flush(ctx context.Context) error {
	if d.Outbox == nil {
		return errNoOutbox
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if now.Before(d.retryAt) {
		return nil
	}
	taken, err := d.Outbox.Take(ctx, TakeRequest{Notifier: d.Name(), KeptBy: now.Add(-d.Every), For: 3 * notifyTimeout})
	if err != nil || len(taken.Events) == 0 {
		return err
	}
	digest := digestOf(taken, now)
	if err := d.send(ctx, digest); err != nil {
		d.attempts++
		d.retryAt = d.now().Add(notifyBackoff(err, d.attempts))
		err = fmt.Errorf("digest to %s: %w", d.Notifier.Name(), err)
		return errors.Join(err, d.settle(ctx, digest, nil, OutcomeFailed, rota.WithHint(err.Error(), rota.RemediesOf(err), rota.Remedy.String)))
	}
	d.attempts, d.retryAt = 0, time.Time{}
	ids := make([]string, len(taken.Events))
	for i, e := range taken.Events {
		ids[i] = e.ID
	}
	return d.settle(ctx, digest, ids, OutcomeSucceeded, digest.Reason)
}

func (d *Digester) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

func (d *Digester) send(ctx context.Context, digest rota.Event) error {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	return d.Notifier.Notify(ctx, digest)
}

// settle writes down what became of a digest, also when ctx has ended: a digest
// that was taken is not to be sent again.
func (d *Digester) settle(ctx context.Context, digest rota.Event, ids []string, o Outcome, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTimeout)
	defer cancel()
	return d.Outbox.Settle(ctx, SettleRequest{Notifier: d.Name(), IDs: ids, Entry: Entry{
		At: d.now().UTC(), Actor: "rota", Secret: Digests, Step: string(StepNotify), Object: d.Name(), Outcome: o,
		Detail: "digest " + digest.ID + ": " + detail,
	}})
}

// digestOf is one event for several. Its ID follows from theirs: what is sent
// again is the same.
func digestOf(t Taken, now time.Time) rota.Event {
	h := sha256.New()
	for _, e := range t.Events {
		fmt.Fprintln(h, e.ID)
	}
	reason := fmt.Sprintf("%d events since %s", len(t.Events), stamp(t.Since))
	if t.Lost > 0 {
		reason += fmt.Sprintf("; %d older ones were given up, because nothing could be sent for long", t.Lost)
	}
	return rota.Event{ID: hex.EncodeToString(h.Sum(nil)[:16]), Kind: rota.EventDigest, At: now.UTC(), Reason: reason, Events: t.Events}
}

var errNoOutbox = errors.New("a digest needs Rota's own store, which is not open")

func wants(n rota.Notifier, k rota.EventKind) bool {
	c, ok := n.(rota.Chooser)
	return !ok || c.Wants(k)
}

func preflightOf(ctx context.Context, n rota.Notifier) []rota.Finding {
	if p, ok := n.(rota.Preflighter); ok {
		return p.Preflight(ctx)
	}
	return []rota.Finding{{OK: true, Check: n.Name()}}
}
