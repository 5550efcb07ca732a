package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// ErrUnknown means that no such secret is configured, or that it couldn't be
// wired.
var ErrUnknown = errors.New("not configured here")

// errStopping is why in-flight turns are canceled at shutdown.
var errStopping = errors.New("the daemon is stopping")

// Queue says what is due. Package store implements it.
type Queue interface {
	// Due lists the enrolled secrets whose time has come, longest overdue
	// first. It leaves out paused secrets and those with an unexpired lease.
	// While everything is frozen there are none.
	Due(ctx context.Context, q rotation.DueQuery) ([]rotation.Due, error)
	// NextDue is the next time after now at which an enrolled secret becomes
	// due; zero for never.
	NextDue(ctx context.Context, now time.Time) (time.Time, error)
}

// TurnFunc is what one turn does to a secret.
type TurnFunc func(ctx context.Context, s *rotation.Secret) (rotation.Result, error)

// Worker carries out turns: the schedulers', and those that people request. All
// turns of a process share its pool.
type Worker struct {
	rotator   *rotation.Rotator
	secrets   *Secrets
	pool      *Pool
	log       *slog.Logger
	onOutcome func(Outcome)
	now       func() time.Time
}

// WorkerOptions configure a Worker.
type WorkerOptions struct {
	// Rotator does the work. Required.
	Rotator *rotation.Rotator
	// Secrets are the currently configured secrets. Required.
	Secrets *Secrets
	// Limits bound concurrent work.
	Limits Limits
	// Log gets failed turns. Defaults to nothing.
	Log *slog.Logger
	// OnOutcome, if set, is called after every turn, for metrics. It must not
	// block.
	OnOutcome func(Outcome)
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (o WorkerOptions) withDefaults() WorkerOptions {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnOutcome == nil {
		o.OnOutcome = func(Outcome) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// NewWorker creates a Worker with an open pool.
func NewWorker(o WorkerOptions) *Worker {
	o = o.withDefaults()
	return &Worker{rotator: o.Rotator, secrets: o.Secrets, pool: NewPool(o.Limits), log: o.Log, onOutcome: o.OnOutcome, now: o.Now}
}

// Each carries out a person's request for some secrets here and now, as
// [Pool.Each] does, alongside the schedulers and within the same limits. The
// caller must keep the secrets wired until then.
func (w *Worker) Each(ctx context.Context, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error {
	return w.pool.Each(ctx, secrets, do)
}

// Do carries out a person's request for one configured secret, as [Worker.Each]
// does. The error is [ErrUnknown] if it isn't configured.
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

// StartTurn starts a turn for a secret soon, with the priority of a request,
// and doesn't wait for it. If the turn never starts, the secret is still due.
func (w *Worker) StartTurn(ctx context.Context, name string) {
	secret, returned := w.secrets.Borrow(name)
	returned() // while it waits, only its systems matter
	if secret != nil {
		w.enqueue(context.WithoutCancel(ctx), secret, true, w.now(), func(rotation.Result) {})
	}
}

// Advance does everything that's due for a secret, once there is room; if there
// is none at its systems, the error is a [*NoRoomError]. It is [ErrUnknown] if
// the secret isn't configured.
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
	return &rotation.SecretError{Secret: name, Err: rota.WithRemedies(ErrUnknown, rota.Command("rota validate"))}
}

// reportTurn reports a turn. One that never started, or that ran into another
// worker, isn't reported: it will be retried.
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

// Load returns how busy the worker is.
func (w *Worker) Load() Load { return w.pool.Load() }

// Close starts nothing new.
func (w *Worker) Close() { w.pool.Close(errStopping) }

// Drain waits for in-flight turns, whoever requested them, after Close. Turns
// that take longer than this are canceled, and continue at the next start or on
// another replica.
func (w *Worker) Drain(within time.Duration) {
	late := time.AfterFunc(within, w.pool.Cancel)
	defer late.Stop()
	w.pool.Wait()
}

// Health is a scheduler's health.
type Health struct {
	LastScan time.Time `json:"last_scan,omitzero"` // when it last scanned for due secrets successfully
	Error    string    `json:"error,omitempty"`    // why the latest scan failed; "" if it didn't
	Due      int       `json:"due"`                // secrets found due by the last scan
	Load
}

// Stale reports whether a scheduler hasn't scanned for due secrets for a while:
// it hangs, or its database does.
func (h Health) Stale(now time.Time, after time.Duration) bool {
	return h.LastScan.IsZero() || now.Sub(h.LastScan) > after
}
