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

// Only wraps a notifier so that it receives only events of the given kinds.
func Only(n rota.Notifier, kinds ...rota.EventKind) rota.Notifier {
	return &chosenOnly{Notifier: n, kinds: kinds}
}

type chosenOnly struct {
	rota.Notifier
	kinds []rota.EventKind
}

// Name includes the kinds, to distinguish it from the same notifier with others.
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

// Preflight runs the notifier's checks, if it has any.
func (c *chosenOnly) Preflight(ctx context.Context) []rota.Finding {
	return preflightOf(ctx, c.Notifier)
}

// Outbox keeps events for notifiers that send several in one message, until
// they're sent. Kept events are durable. Package store implements it.
type Outbox interface {
	// Keep keeps an event. Keeping one with the same ID again isn't an error.
	Keep(ctx context.Context, notifier string, e rota.Event) error
	// Take returns a notifier's events to send, or none if the oldest isn't old
	// enough yet.
	Take(ctx context.Context, r TakeRequest) (Taken, error)
	// Settle removes events that were sent and writes the outcome to the audit
	// log, atomically.
	Settle(ctx context.Context, r SettleRequest) error
}

// TakeRequest asks for the events of a notifier.
type TakeRequest struct {
	Notifier string
	// KeptBy is the latest time at which the oldest must have been kept.
	KeptBy time.Time
	// For is how long no other caller is given these events.
	For time.Duration
}

// Taken are events to send, the oldest first.
type Taken struct {
	Events []rota.Event
	Since  time.Time // when the oldest was kept
	// Lost is how many older events were dropped because there were too many.
	Lost int
}

// SettleRequest reports the outcome of sending events.
type SettleRequest struct {
	Notifier string
	IDs      []string // of the events that were sent
	Entry    Entry
}

// Digests stands in for a secret's name in the audit entries about digests. No
// secret can have that name.
const Digests = "(digests)"

// Digester is a notifier that collects events and sends them in one message once
// the oldest has waited for Every. Call Flush regularly to send what's due.
// Several processes can call it.
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

// Name includes Every, to distinguish it from the same notifier without digests.
func (d *Digester) Name() string {
	return fmt.Sprintf("%s every %s", d.Notifier.Name(), rota.FormatDuration(d.Every))
}

// Wants implements [rota.Chooser].
func (d *Digester) Wants(k rota.EventKind) bool { return wants(d.Notifier, k) }

// Notify keeps the event in the Outbox.
func (d *Digester) Notify(ctx context.Context, e rota.Event) error {
	if d.Outbox == nil {
		return errNoOutbox
	}
	return d.Outbox.Keep(ctx, d.Name(), e)
}

// Preflight runs the notifier's checks, if it has any.
func (d *Digester) Preflight(ctx context.Context) []rota.Finding { return preflightOf(ctx, d.Notifier) }

// Flush sends the kept events if a digest is due. If the notifier doesn't accept
// it, the events are kept and retried with backoff.
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
		return errors.Join(err, d.settle(ctx, digest, nil, OutcomeFailed, rota.WithHint(rota.OneLine(err.Error()), rota.RemediesOf(err), rota.Remedy.String)))
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

// settle records the outcome of a digest even if ctx is done: a digest that was
// accepted must not be sent again.
func (d *Digester) settle(ctx context.Context, digest rota.Event, ids []string, o Outcome, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTimeout)
	defer cancel()
	return d.Outbox.Settle(ctx, SettleRequest{Notifier: d.Name(), IDs: ids, Entry: Entry{
		At: d.now().UTC(), Actor: "rota", Secret: Digests, Step: string(StepNotify), Object: d.Name(), Outcome: o,
		Detail: "digest " + digest.ID + ": " + detail,
	}})
}

// digestOf combines several events into one. Its ID is derived from theirs, so a
// retry has the same ID.
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
