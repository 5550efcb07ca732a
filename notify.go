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
		w.progress.Unsent = append(w.progress.Unsent, Unsent{Notifier: n.Name(), Event: e})
	}
	if over := len(w.progress.Unsent) - maxUnsent; over > 0 {
		w.Log.Error("events dropped: a notifier does not answer", "secret", w.s.Name, "events", over)
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

// notify sends what is unsent. What fails stays for the next turn.
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
		if sick[u.Notifier] {
			left = append(left, u)
			continue
		}
		err := w.call(ctx, func(ctx context.Context) error { return n.Notify(ctx, u.Event) })
		d := Decision{Step: "notify", Version: u.Event.Version, Credential: u.Event.Credential}
		w.end(d, u.Notifier, err)
		if err != nil {
			sick[u.Notifier] = true
			u.Attempts++
			left = append(left, u)
			w.Log.WarnContext(ctx, "notify", "secret", w.s.Name, "notifier", u.Notifier, "error", Sanitize(err, w.seen...))
		}
	}
	w.progress.Unsent = left
	if err := w.save(context.WithoutCancel(ctx)); err != nil {
		w.Log.WarnContext(ctx, "notify", "secret", w.s.Name, "error", err)
	}
}
