package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"github.com/rota-dev/rota"
	"slices"
	"sync"
	"time"
)

// maxUnsent is how many of a secret's events are kept for a notifier that accepts
// none.
const maxUnsent = 100

// notifyTimeout bounds how long a turn spends on all notifiers at its end, while
// it still holds the lease and the worker slots of the secret's systems.
const notifyTimeout = 10 * time.Second

// newEvent returns an event whose ID is derived from its content, so the same
// event has the same ID whoever raises it.
func newEvent(secret string, kind rota.EventKind, version, credential, reason string, now time.Time) rota.Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d", secret, kind, version, credential, now.UnixNano()))
	return rota.Event{
		ID: hex.EncodeToString(sum[:16]), Kind: kind, Secret: secret, Version: version, Credential: credential,
		At: now.UTC(), Reason: reason,
	}
}

// event keeps an event for every notifier of the secret.
func (l *ledger) event(kind rota.EventKind, version, credential, reason string, remedies ...rota.Remedy) {
	e := newEvent(l.s.Name, kind, version, credential, reason, l.Now())
	e.Remedies = remedies
	l.raise(e)
}

// raise keeps an event with the progress it's about, so it can't get lost before
// it's sent.
func (l *ledger) raise(e rota.Event) {
	for _, n := range l.s.Notifiers {
		if wants(n, e.Kind) {
			l.progress.Unsent = append(l.progress.Unsent, Unsent{Notifier: n.Name(), Event: e})
			l.dropOldest(n.Name())
		}
	}
	switch e.Kind {
	case rota.EventHeld, rota.EventFailed, rota.EventQuarantined, rota.EventLate:
		l.progress.Trouble = e.Kind
	}
}

// dropOldest drops a notifier's oldest event if there are too many.
func (l *ledger) dropOldest(notifier string) {
	var its []int
	for i, u := range l.progress.Unsent {
		if u.Notifier == notifier {
			its = append(its, i)
		}
	}
	if len(its) <= maxUnsent {
		return
	}
	oldest := l.progress.Unsent[its[0]]
	next := &l.progress.Unsent[its[1]]
	next.Attempts, next.RetryAt = oldest.Attempts, oldest.RetryAt
	l.progress.Unsent = slices.Delete(l.progress.Unsent, its[0], its[0]+1)
	e := oldest.Event
	l.Log.Error("event dropped: its notifier accepts none", "secret", l.s.Name, "notifier", notifier, "event", e.ID, "kind", e.Kind, "at", e.At)
	l.noteOutcome(Decision{Step: StepNotify, Version: e.Version, Credential: e.Credential}, notifier,
		fmt.Errorf("event %s (%s, %s) was dropped: %d newer ones are waiting for this notifier", e.ID, e.Kind, stamp(e.At), maxUnsent))
}

// wakeAt returns when to look at the secret again or to send one of its events.
func (p Progress) wakeAt(now time.Time) time.Time {
	next := p.NextAt
	seen := map[string]bool{}
	for _, u := range p.Unsent {
		if seen[u.Notifier] {
			continue // it waits behind the first
		}
		seen[u.Notifier] = true
		at := u.RetryAt
		if at.IsZero() {
			at = now
		}
		if at.Before(next) {
			next = at
		}
	}
	return next
}

// delivery is the sending of one notifier's events.
type delivery struct {
	to       rota.Notifier
	events   []Unsent
	accepted int   // how many of them were
	err      error // why the next one wasn't
}

// deliveries returns the unsent events by notifier. Events for a notifier that's
// no longer configured are dropped.
func (t *turn) deliveries() []*delivery {
	var all []*delivery
	of := map[string]*delivery{}
	for _, n := range t.s.Notifiers {
		if of[n.Name()] == nil {
			of[n.Name()] = &delivery{to: n}
			all = append(all, of[n.Name()])
		}
	}
	for _, u := range t.ledger.progress.Unsent {
		if m := of[u.Notifier]; m != nil {
			m.events = append(m.events, u)
		}
	}
	return slices.DeleteFunc(all, func(m *delivery) bool { return len(m.events) == 0 })
}

// notify sends the unsent events. Each notifier gets its own in order, and none
// waits for another. Failures are retried later, with backoff.
func (t *turn) notify(ctx context.Context) {
	if len(t.ledger.progress.Unsent) == 0 {
		return
	}
	if err := t.ledger.keep(ctx); err != nil {
		t.Log.WarnContext(ctx, "notify", "secret", t.s.Name, "error", err)
		return // whoever has the lease now has the events too
	}
	all := t.deliveries()
	due := slices.DeleteFunc(slices.Clone(all), func(m *delivery) bool {
		return t.asked.step == rota.StepNone && t.Now().Before(m.events[0].RetryAt) // a person may have fixed it
	})
	t.send(ctx, due)
	t.ledger.progress.Unsent = nil
	for _, m := range all {
		t.sent(ctx, m)
	}
	if err := t.ledger.write(context.WithoutCancel(ctx), true); err != nil {
		t.Log.WarnContext(ctx, "notify", "secret", t.s.Name, "error", err)
	}
}

// send sends to all of them concurrently.
func (t *turn) send(ctx context.Context, all []*delivery) {
	ctx, cancel := context.WithTimeout(ctx, min(notifyTimeout, t.CallTimeout))
	defer cancel()
	if len(all) == 1 {
		t.sendOne(ctx, all[0])
		return
	}
	var group sync.WaitGroup
	for _, m := range all {
		group.Go(func() { t.sendOne(ctx, m) })
	}
	group.Wait()
}

// sendOne sends a notifier's events until one isn't accepted, or until the lease
// may have expired and another worker sends them. It runs concurrently with
// others, so it changes nothing but its own delivery.
func (t *turn) sendOne(ctx context.Context, m *delivery) {
	for _, u := range m.events {
		if t.Now().Sub(t.ledger.leasedAt) >= t.LeaseTTL {
			return
		}
		span := Span{Name: "notifier.notify", Version: u.Event.Version, Credential: u.Event.Credential, Object: u.Notifier}
		m.err = t.outside.traced(ctx, span, func(ctx context.Context) error { return m.to.Notify(ctx, u.Event) })
		if m.err != nil {
			return
		}
		m.accepted++
	}
}

// sent records the outcome of a notifier's events and keeps those it didn't
// accept.
func (t *turn) sent(ctx context.Context, m *delivery) {
	note := func(u Unsent, err error) {
		t.ledger.noteOutcome(Decision{Step: StepNotify, Version: u.Event.Version, Credential: u.Event.Credential}, u.Notifier, err)
	}
	for _, u := range m.events[:m.accepted] {
		note(u, nil)
	}
	left := m.events[m.accepted:]
	if m.err != nil && ctx.Err() == nil { // an interrupted turn isn't the notifier's fault
		first := &left[0]
		note(*first, m.err)
		first.Attempts++
		first.RetryAt = t.Now().Add(notifyBackoff(m.err, first.Attempts))
		t.Log.WarnContext(ctx, "notify", "secret", t.s.Name, "notifier", first.Notifier, "error", t.ledger.clean(m.err))
	}
	t.ledger.progress.Unsent = append(t.ledger.progress.Unsent, left...)
}

// notifyBackoff returns how long to wait after a notifier failed: longer each
// time, at least as long as the notifier asks for, and at least an hour if only a
// person can fix it.
func notifyBackoff(err error, attempts int) time.Duration {
	wait := failureBackoff(rota.ClassWait, attempts)
	if rota.ClassOf(err) == rota.ClassStop {
		wait = max(wait, failureBackoff(rota.ClassStop, attempts))
	}
	return max(wait, askedWait(err))
}
