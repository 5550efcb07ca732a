package engine

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Overdue lists what may be overdue. Package store implements it.
type Overdue interface {
	// Overdue lists enrolled secrets with something that was due, or started
	// and never finished, at that time or earlier, and that nobody has been
	// notified about yet. It returns at most limit names that sort after the
	// given one, in order.
	Overdue(ctx context.Context, since time.Time, after string, limit int) ([]string, error)
}

// WatchdogOptions configure the watchdog.
type WatchdogOptions struct {
	// Rotator raises the alerts. Required. It must not be the loop's, so that
	// whatever blocks that one doesn't block this one.
	Rotator *rotation.Rotator
	// Secrets are the currently configured secrets. Required.
	Secrets *Secrets
	// Unwired, if set, returns a secret that is configured but can't be worked
	// on, with only its name, policy and notifiers; nil if there is none.
	Unwired func(secret string) *rotation.Secret
	// Overdue says what may be overdue. Required.
	Overdue Overdue
	// Health, if set, returns the health of the loop to watch.
	Health func() Health
	// Every is how often to check. Defaults to a minute.
	Every time.Duration
	// LoopStale is how long the loop may go without a scan before it counts as
	// dead. Defaults to two minutes.
	LoopStale time.Duration
	// Limits bound concurrent alerts.
	Limits Limits
	// Log gets overdue secrets and a dead loop. Defaults to nothing.
	Log *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Watchdog raises alerts for overdue secrets, in a loop and on a timer of its
// own: what keeps a scheduler from its work must not hold back the alert.
type Watchdog struct {
	WatchdogOptions

	mu      sync.Mutex
	alerted map[string]rotation.Status // the status for which the alert was raised
}

func (o WatchdogOptions) withDefaults() WatchdogOptions {
	o.Every = cmp.Or(o.Every, time.Minute)
	o.LoopStale = cmp.Or(o.LoopStale, 2*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// NewWatchdog creates a watchdog. Run starts it.
func NewWatchdog(o WatchdogOptions) *Watchdog {
	return &Watchdog{WatchdogOptions: o.withDefaults(), alerted: map[string]rotation.Status{}}
}

// Run watches until ctx ends, and returns nil.
func (w *Watchdog) Run(ctx context.Context) error {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.Check(ctx)
		}
	}
}

// Check raises the alerts that are due now, once.
func (w *Watchdog) Check(ctx context.Context) {
	if w.Health != nil {
		if h := w.Health(); h.Stale(w.Now(), w.LoopStale) {
			w.Log.ErrorContext(ctx, "nothing looks for what is due", "last", h.LastScan, "error", h.Error)
		}
	}
	soonest := time.Duration(0) // the shortest late_after of all
	for s := range w.Secrets.All() {
		after := s.Policy.WithDefaults().LateAfter
		if soonest == 0 || after < soonest {
			soonest = after
		}
	}
	const batch = 1000
	for after := ""; ; {
		names, err := w.Overdue.Overdue(ctx, w.Now().Add(-soonest), after, batch)
		if err != nil {
			w.Log.ErrorContext(ctx, "look for what is late", "error", err)
			return
		}
		w.alert(ctx, names)
		if len(names) < batch || ctx.Err() != nil {
			return
		}
		after = names[len(names)-1]
	}
}

// alert raises the alerts of a batch, concurrently.
func (w *Watchdog) alert(ctx context.Context, names []string) {
	var secrets []*rotation.Secret
	for _, name := range names {
		secret, done := w.Secrets.Borrow(name)
		defer done()
		if secret == nil && w.Unwired != nil {
			secret = w.Unwired(name)
		}
		if secret != nil {
			secrets = append(secrets, secret)
		}
	}
	errs := Each(ctx, w.Limits, secrets, func(ctx context.Context, i int) error {
		return w.alertOne(ctx, secrets[i])
	})
	for i, err := range errs {
		if err != nil {
			w.Log.ErrorContext(ctx, "alert", "secret", secrets[i].Name, "error", err)
		}
	}
}

// alertOne raises one secret's alert, unless this watchdog already did so for
// the same status: while another worker holds the lease, nothing else records
// it.
func (w *Watchdog) alertOne(ctx context.Context, s *rotation.Secret) error {
	snapshot, err := w.Rotator.Journal.Load(ctx, s.Name)
	if err != nil {
		return err
	}
	p := snapshot.Progress
	w.mu.Lock()
	before, known := w.alerted[s.Name]
	w.mu.Unlock()
	if known && reflect.DeepEqual(before, p.Status) {
		return nil
	}
	late, err := w.Rotator.Alert(ctx, s)
	w.mu.Lock()
	defer w.mu.Unlock()
	if late && err == nil {
		w.alerted[s.Name] = p.Status
		w.Log.WarnContext(ctx, "late", "secret", s.Name, "due", p.Status.DueAt, "reason", p.Status.Reason)
	} else {
		delete(w.alerted, s.Name)
	}
	return err
}
