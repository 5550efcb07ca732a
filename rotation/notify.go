package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"slices"
	"sync"
	"time"
)

// maxUnsent bounds the events of a secret that are kept for a notifier that
// takes none.
const maxUnsent = 100

// notifyTimeout bounds what is sent at the end of a turn, to all notifiers: the
// lease and places at the secret's systems are held meanwhile.
const notifyTimeout = 10 * time.Second

// maxBackoff is the longest time between two tries to send an event.
const maxBackoff = 6 * time.Hour

// newEvent makes an event. Its ID follows from what it says, so that the same
// event has the same one whoever tells of it.
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

// raise keeps an event next to the progress that it tells of, so that it is not
// lost before it is sent.
func (l *ledger) raise(e rota.Event) {
	for _, n := range l.s.Notifiers {
		if wants(n, e.Kind) {
			l.progress.Unsent = append(l.progress.Unsent, Unsent{Notifier: n.Name(), Event: e})
			l.bound(n.Name())
		}
	}
	switch e.Kind {
	case rota.EventHeld, rota.EventFailed, rota.EventQuarantined, rota.EventLate:
		l.progress.Trouble = e.Kind
	}
}

// bound gives up a notifier's oldest event where there are too many.
func (l *ledger) bound(notifier string) {
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
	l.Log.Error("event given up: its notifier takes none", "secret", l.s.Name, "notifier", notifier, "event", e.ID, "kind", e.Kind, "at", e.At)
	l.noteOutcome(Decision{Step: StepNotify, Version: e.Version, Credential: e.Credential}, notifier,
		fmt.Errorf("event %s (%s, %s) was given up: %d more wait for it to take any", e.ID, e.Kind, stamp(e.At), maxUnsent))
}

// wakeAt is when the secret should be looked at again, or an event of it be
// sent.
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

// mail is what one notifier is to get.
type mail struct {
	to     rota.Notifier
	events []Unsent
	taken  int   // how many of them it took
	err    error // why it took no more
}

// mails are the unsent events by their notifiers. What is for one that is no
// longer configured is left out.
func (t *turn) mails() []*mail {
	var all []*mail
	of := map[string]*mail{}
	for _, n := range t.s.Notifiers {
		if of[n.Name()] == nil {
			of[n.Name()] = &mail{to: n}
			all = append(all, of[n.Name()])
		}
	}
	for _, u := range t.ledger.progress.Unsent {
		if m := of[u.Notifier]; m != nil {
			m.events = append(m.events, u)
		}
	}
	return slices.DeleteFunc(all, func(m *mail) bool { return len(m.events) == 0 })
}

// notify sends what is unsent: each notifier gets its events in their order, and
// none waits for another. What fails is tried again later, ever less often.
func (t *turn) notify(ctx context.Context) {
	if len(t.ledger.progress.Unsent) == 0 {
		return
	}
	if err := t.ledger.keep(ctx); err != nil {
		t.Log.WarnContext(ctx, "notify", "secret", t.s.Name, "error", err)
		return // who has the lease now has the events too
	}
	all := t.mails()
	due := slices.DeleteFunc(slices.Clone(all), func(m *mail) bool {
		return t.asked.step == rota.StepNone && t.Now().Before(m.events[0].RetryAt) // a person may have mended it
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

// send sends all at once.
func (t *turn) send(ctx context.Context, all []*mail) {
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

// sendOne sends a notifier's events until one is not taken, or the lease may be
// over: somebody else sends them then. It changes nothing else: others run
// beside it.
func (t *turn) sendOne(ctx context.Context, m *mail) {
	for _, u := range m.events {
		if t.Now().Sub(t.ledger.leasedAt) >= t.LeaseTTL {
			return
		}
		span := Span{Name: "notifier.notify", Version: u.Event.Version, Credential: u.Event.Credential, Object: u.Notifier}
		m.err = t.outside.traced(ctx, span, func(ctx context.Context) error { return m.to.Notify(ctx, u.Event) })
		if m.err != nil {
			return
		}
		m.taken++
	}
}

// sent notes what became of a notifier's events, and keeps those that it did not
// take.
func (t *turn) sent(ctx context.Context, m *mail) {
	note := func(u Unsent, err error) {
		t.ledger.noteOutcome(Decision{Step: StepNotify, Version: u.Event.Version, Credential: u.Event.Credential}, u.Notifier, err)
	}
	for _, u := range m.events[:m.taken] {
		note(u, nil)
	}
	left := m.events[m.taken:]
	if m.err != nil && ctx.Err() == nil { // a turn that was ended is not the notifier's fault
		first := &left[0]
		note(*first, m.err)
		first.Attempts++
		first.RetryAt = t.Now().Add(notifyBackoff(m.err, first.Attempts))
		t.Log.WarnContext(ctx, "notify", "secret", t.s.Name, "notifier", first.Notifier, "error", t.ledger.clean(m.err))
	}
	t.ledger.progress.Unsent = append(t.ledger.progress.Unsent, left...)
}

// notifyBackoff is how long to wait after a notifier failed: as long as it says
// itself, an hour at least where only a person can mend it, and ever longer.
func notifyBackoff(err error, attempts int) time.Duration {
	wait := failureBackoff(rota.ClassWait, attempts)
	if rota.ClassOf(err) == rota.ClassStop {
		wait = max(wait, failureBackoff(rota.ClassStop, attempts))
	}
	if e, ok := errors.AsType[*rota.Error](err); ok {
		wait = max(wait, e.RetryAfter)
	}
	return min(wait, maxBackoff)
}
