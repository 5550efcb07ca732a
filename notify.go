package rota

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// maxUnsent bounds the events kept for a notifier that does not answer.
const maxUnsent = 100

// event keeps an event for every notifier of the secret, next to the progress
// that it tells of, so that it is not lost before it is sent.
func (w *work) event(kind EventKind, version, credential, reason string) {
	e := newEvent(w.s.Name, kind, version, credential, reason, w.Now())
	for _, n := range w.s.Notifiers {
		if wants(n, kind) {
			w.progress.Unsent = append(w.progress.Unsent, Unsent{Notifier: n.Name(), Event: e})
		}
	}
	switch kind {
	case Failed, WasQuarantined, Late:
		w.progress.Trouble = kind
	}
	if over := len(w.progress.Unsent) - maxUnsent; over > 0 {
		w.Log.Error("events dropped: a notifier does not answer", "secret", w.s.Name, "events", over)
		w.end(Decision{Step: "notify"}, w.progress.Unsent[0].Notifier, fmt.Errorf("%d events were dropped: it takes none", over))
		w.progress.Unsent = w.progress.Unsent[over:]
	}
}

// newEvent makes an event. Its ID follows from what it says, so that the same
// event has the same one whoever tells of it.
func newEvent(secret string, kind EventKind, version, credential, reason string, now time.Time) Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d", secret, kind, version, credential, now.UnixNano()))
	return Event{
		ID: hex.EncodeToString(sum[:16]), Kind: kind, Secret: secret, Version: version, Credential: credential,
		At: now.UTC(), Reason: reason,
	}
}

// notifyTimeout bounds one call to a notifier: a turn ends with it, and places
// at the secret's systems are held meanwhile.
const notifyTimeout = 10 * time.Second

// notify sends what is unsent. What fails is tried again later, ever less
// often.
func (w *work) notify(ctx context.Context) {
	if len(w.progress.Unsent) == 0 {
		return
	}
	notifiers := map[string]Notifier{}
	for _, n := range w.s.Notifiers {
		notifiers[n.Name()] = n
	}
	sick := map[string]bool{}
	var left []Unsent
	for _, u := range w.progress.Unsent {
		n := notifiers[u.Notifier]
		if n == nil {
			continue // no longer configured
		}
		if sick[u.Notifier] || w.Now().Before(u.RetryAt) {
			sick[u.Notifier] = true // those after it wait too, and stay in order
			left = append(left, u)
			continue
		}
		err := w.call(ctx, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, min(notifyTimeout, w.CallTimeout))
			defer cancel()
			return n.Notify(ctx, u.Event)
		})
		d := Decision{Step: "notify", Version: u.Event.Version, Credential: u.Event.Credential}
		w.end(d, u.Notifier, err)
		if err != nil {
			sick[u.Notifier] = true
			u.Attempts++
			u.RetryAt = w.Now().Add(failureBackoff(Wait, u.Attempts))
			left = append(left, u)
			w.Log.WarnContext(ctx, "notify", "secret", w.s.Name, "notifier", u.Notifier, "error", Sanitize(err, w.seen...))
		}
	}
	w.progress.Unsent = left
	for _, u := range left {
		if next := w.progress.NextAt; !u.RetryAt.IsZero() && !next.IsZero() && u.RetryAt.Before(next) {
			w.progress.NextAt = u.RetryAt
		}
	}
	if err := w.save(context.WithoutCancel(ctx)); err != nil {
		w.Log.WarnContext(ctx, "notify", "secret", w.s.Name, "error", err)
	}
}
