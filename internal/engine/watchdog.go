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

// Overdue lists what may be late. Package store implements it.
type Overdue interface {
	// Overdue lists enrolled secrets of which something was due, or was begun
	// and never ended, at that time or earlier, and of which nobody was told
	// yet; by name, those after a name, at most limit of them.
	Overdue(ctx context.Context, since time.Time, after string, limit int) ([]string, error)
}

// WatchdogOptions say how the watchdog runs.
type WatchdogOptions struct {
	// Rotator raises the alerts. Required; one of its own, so that nothing that
	// holds the loop's holds it too.
	Rotator *rotation.Rotator
	// Secrets are those that are configured now. Required.
	Secrets *Secrets
	// Watched, if any, gives a secret that is configured but can't be worked, with
	// its name, policy and notifiers alone; nil where there is none.
	Unwired func(secret string) *rotation.Secret
	// Overdue tells what may be late. Required.
	Overdue Overdue
	// Health, if any, tells how the loop fares that it watches.
	Health func() Health
	// Every is how often it looks. Defaults to a minute.
	Every time.Duration
	// LoopStale is after how long without a look for what is due the loop counts
	// as dead. Defaults to two minutes.
	LoopStale time.Duration
	// Limits bound how many alerts are raised at once.
	Limits Limits
	// Log hears of what is late and of a loop that is dead. Defaults to nothing.
	Log *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Watchdog raises alerts for what is late, in a loop and on a timer of its own:
// what keeps a scheduler from its work must not keep the alert back.
type Watchdog struct {
	WatchdogOptions

	mu   sync.Mutex
	alerted map[string]rotation.Status // as it was when the alert was raised
}

// NewWatchdog makes a watchdog. Run starts it.
func NewWatchdog(o WatchdogOptions) *Watchdog {
	o.Every = cmp.Or(o.Every, time.Minute)
	o.LoopStale = cmp.Or(o.LoopStale, 2*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Watchdog{WatchdogOptions: o, alerted: map[string]rotation.Status{}}
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

// alert raises the alerts of a batch, beside one another.
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

// alertOne raises one secret's alert, unless this watchdog did so for the same
// state: while another worker holds the lease, nothing else remembers it.
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
