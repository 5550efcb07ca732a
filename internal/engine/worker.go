package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// ErrUnknown tells that no such secret is configured, or that it could not be
// wired.
var ErrUnknown = errors.New("not configured here")

// errStopping is why turns in hand are broken off at the end.
var errStopping = errors.New("the daemon is stopping")

// Queue tells what is due. Package store implements it.
type Queue interface {
	// Due lists the secrets that are enrolled and whose time has come, the
	// longest overdue first. It leaves out those that are paused and those
	// that somebody has a lease on; while all are frozen there are none.
	Due(ctx context.Context, q rotation.DueQuery) ([]rotation.Due, error)
	// NextDue is the next time after now at which an enrolled secret will be
	// due; zero for never.
	NextDue(ctx context.Context, now time.Time) (time.Time, error)
}

// TurnFunc is what one turn does with a secret.
type TurnFunc func(ctx context.Context, s *rotation.Secret) (rotation.Result, error)

// Worker carries out turns: the schedulers' own, and those that a person asks
// for. All of a process share its pool.
type Worker struct {
	rotator   *rotation.Rotator
	secrets   *Secrets
	pool      *Pool
	log       *slog.Logger
	onOutcome func(Outcome)
	now       func() time.Time
}

// WorkerOptions say what a Worker works with.
type WorkerOptions struct {
	// Rotator does the work. Required.
	Rotator *rotation.Rotator
	// Secrets are those that are configured now. Required.
	Secrets *Secrets
	// Limits bound what is done at once.
	Limits Limits
	// Log hears of turns that failed. Defaults to nothing.
	Log *slog.Logger
	// OnOutcome, if any, is called after every turn, for metrics. It must not
	// block.
	OnOutcome func(Outcome)
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// NewWorker makes a Worker with an open pool.
func NewWorker(o WorkerOptions) *Worker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnOutcome == nil {
		o.OnOutcome = func(Outcome) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Worker{rotator: o.Rotator, secrets: o.Secrets, pool: NewPool(o.Limits), log: o.Log, onOutcome: o.OnOutcome, now: o.Now}
}

// Each has a person's wish for some secrets carried out here and now, as
// [Pool.Each] does, beside what the schedulers do and within the same limits.
// The secrets are the caller's to keep wired until then.
func (w *Worker) Each(ctx context.Context, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error {
	return w.pool.Each(ctx, secrets, do)
}

// Do has a person's wish for one configured secret carried out, as
// [Worker.Each] does. [ErrUnknown] tells that the secret is not configured.
func (w *Worker) Do(ctx context.Context, name string, act TurnFunc) (rotation.Result, error) {
	secret, done := w.secrets.Borrow(name)
	defer done()
	if secret == nil {
		return rotation.Result{Secret: name}, unknownSecret(name)
	}
	var result rotation.Result
	errs := w.Each(ctx, []*rotation.Secret{secret}, func(ctx context.Context, _ int) error {
		var err error
		result, err = act(ctx, secret)
		return err
	})
	return result, errs[0]
}

// StartTurn has all that is due for a secret done soon, as something that was asked
// for, and does not wait for it. What is not begun is still due.
func (w *Worker) StartTurn(ctx context.Context, name string) {
	secret, returned := w.secrets.Borrow(name)
	returned() // only its systems are of interest as long as it waits
	if secret != nil {
		w.enqueue(context.WithoutCancel(ctx), secret, true, w.now(), func(rotation.Result) {})
	}
}

// Advance does all that is due for a secret now, when there is room: with a
// [*NoRoomError] where the secret's systems have none. [ErrUnknown] tells that
// the secret is not configured.
func (w *Worker) Advance(ctx context.Context, name string, due time.Time) (rotation.Result, error) {
	secret, done := w.secrets.Borrow(name)
	defer done()
	if secret == nil {
		return rotation.Result{Secret: name}, unknownSecret(name)
	}
	begin := w.now()
	var result rotation.Result
	err := w.pool.Do(ctx, secret, func(ctx context.Context) error {
		var err error
		result, err = w.rotator.Advance(ctx, secret, rotation.Options{Due: true})
		return err
	})
	w.reportTurn(ctx, name, due, begin, result, err)
	return result, err
}

func unknownSecret(name string) error {
	return fmt.Errorf("%s: %w (try: rota validate)", name, ErrUnknown)
}

// reportTurn reports a turn. One that never began, or that met another worker, is
// told to nobody: it will come again.
func (w *Worker) reportTurn(ctx context.Context, name string, due, begin time.Time, result rotation.Result, err error) {
	_, noRoom := errors.AsType[*NoRoomError](err)
	_, skipped := errors.AsType[*SkippedError](err)
	if noRoom || skipped || errors.Is(err, ErrUnknown) {
		return
	}
	if err != nil && !errors.Is(err, rota.ErrBusy) {
		w.log.WarnContext(ctx, "turn", "secret", name, "error", err)
	}
	w.onOutcome(Outcome{Secret: name, Due: true, DueAt: due, StartedAt: begin, EndedAt: w.now(), Result: result, Err: err})
}

// Load tells how much there is to do now.
func (w *Worker) Load() Load { return w.pool.Load() }

// Close begins nothing new.
func (w *Worker) Close() { w.pool.Close(errStopping) }

// Drain waits for the turns in flight, whoever asked for them, after Close.
// Those that take longer than that are broken off, and go on at the next start
// or on another replica.
func (w *Worker) Drain(within time.Duration) {
	late := time.AfterFunc(within, w.pool.Cancel)
	defer late.Stop()
	w.pool.Wait()
}

// Health is how a scheduler fares.
type Health struct {
	LastScan time.Time `json:"last_scan,omitzero"` // when it last looked for what is due and could
	Error    string    `json:"error,omitempty"`    // why the latest look failed; "" if it did not
	Due      int       `json:"due"`                // secrets found due at the last look
	Load
}

// Stale tells that a scheduler has not looked for what is due for a while: it
// hangs, or its database does.
func (h Health) Stale(now time.Time, after time.Duration) bool {
	return h.LastScan.IsZero() || now.Sub(h.LastScan) > after
}
