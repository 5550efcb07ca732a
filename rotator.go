package rota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Rotator carries out steps. It holds no state of its own between calls: what
// it needs is in the store's labels, at the issuer and in the journal. One
// Rotator serves many secrets, from several goroutines.
type Rotator struct {
	// Journal keeps progress, leases and the audit. Required.
	Journal Journal
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Sleep waits between tries. Defaults to a timer that ends with ctx.
	Sleep func(ctx context.Context, d time.Duration) error
	// NewID makes version ids. Defaults to NewVersionID.
	NewID func() string
	// Plan decides. Defaults to [Plan]; the simulator plants faults here.
	Plan func(State, Policy, time.Time) Decision
	// Holder is this worker's name in leases. Defaults to a random one.
	Holder string
	// Actor is who acts, for the audit. Defaults to "rota".
	Actor string
	// From is the address that the actor asked from, for the audit; "" on the
	// same machine, and for what is done by itself.
	From string
	// CallTimeout bounds one call to an outside system, but for reloads, whose
	// deadline is their own. Defaults to 30 seconds.
	CallTimeout time.Duration
	// LeaseTTL is how long a lease outlives its last write. Defaults to two
	// minutes.
	LeaseTTL time.Duration
	// Heartbeat is how often the lease is prolonged during a reload. Defaults
	// to never, which suits a virtual clock.
	Heartbeat time.Duration
	// Log hears of every step. Defaults to nothing.
	Log *slog.Logger
	// Report, if any, is called as each step begins and ends, for progress on
	// a terminal.
	Report func(Report)
	// Trace, if any, hears of turns, steps and outside calls.
	Trace Tracer
}

// Report is one step's beginning or end.
type Report struct {
	Secret   string
	Decision Decision
	Done     bool
	Err      error
}

// Options are a person's wishes for one Advance.
type Options struct {
	// Force is a step to take ahead of the policy's dates: Create, Deactivate
	// or Delete.
	Force Step
	// Due tells that nobody wished for it: it is left alone, with
	// [ErrElsewhere], where another configuration of the secret is in force.
	Due bool
}

// Result is what one Advance did.
type Result struct {
	Secret string     `json:"secret"`
	Done   []Decision `json:"done"`
	// Last is the decision that ended it: a wait, a hold, or the step that
	// failed.
	Last   Decision `json:"last"`
	Status Status   `json:"status"`
}

// maxSteps bounds one Advance: a whole life is 16 steps, and nothing sane
// needs three of them.
const maxSteps = 48

func (r *Rotator) withDefaults() *Rotator {
	c := *r
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.NewID == nil {
		c.NewID = NewVersionID
	}
	if c.Plan == nil {
		c.Plan = Plan
	}
	if c.Holder == "" {
		c.Holder = uuid.NewString()
	}
	if c.Actor == "" {
		c.Actor = "rota"
	}
	if c.CallTimeout == 0 {
		c.CallTimeout = 30 * time.Second
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = 2 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Report == nil {
		c.Report = func(Report) {}
	}
	if c.Trace == nil {
		c.Trace = untraced
	}
	return &c
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Advance does all that is due for a secret now, step by step, until there is
// something to wait for. It takes the secret's lease first, and looks at the
// outside afresh before it acts.
//
// The error is that of the step that failed, with the secret's name; a hold is
// no error. [ErrBusy] and [ErrFenced] tell that another worker has the secret.
func (r *Rotator) Advance(ctx context.Context, s *Secret, o Options) (Result, error) {
	w := &work{Rotator: r.withDefaults(), s: s, due: o.Due, result: Result{Secret: s.Name}}
	return w.whole(ctx, func(ctx context.Context, w *work) error {
		w.force, w.asked = o.Force, o.Force
		w.takeUp()
		if o.Force == Create {
			w.progress.Rollback = nil // a person wants a new one instead
		}
		return w.advance(ctx)
	})
}

// Rollback puts the previous credential back in the place of the current one,
// delivers it and reloads the consumers. Where a new credential is not yet
// promoted, that one is given up instead. It is an error if the previous
// credential is no longer there.
func (r *Rotator) Rollback(ctx context.Context, s *Secret) (Result, error) {
	return r.withWork(ctx, s, func(ctx context.Context, w *work) error {
		w.progress.Asked = nil // a person wants the old one instead
		if err := w.beginRollback(ctx); err != nil {
			return err
		}
		return w.advance(ctx)
	})
}

// Redeliver delivers the current credential to every target and reloads the
// consumers again.
func (r *Rotator) Redeliver(ctx context.Context, s *Secret) (Result, error) {
	return r.withWork(ctx, s, func(ctx context.Context, w *work) error {
		if err := w.observe(ctx); err != nil {
			return err
		}
		current, ok := findCredential(w.state.Contents.Versions, Current)
		if !ok {
			return fmt.Errorf("there is no current credential to deliver (try: rota rotate %s)", s.Name)
		}
		w.update(current.ID, func(vp *VersionProgress) { vp.Delivered, vp.Reloaded = nil, nil })
		if f := w.progress.stepFailure(); f != nil && (f.Step == Deliver || f.Step == Reload) {
			w.progress.Failure = nil // a person asks for it anew, even where it was given up
		}
		return w.advance(ctx)
	})
}

// Observe looks at a secret without changing anything, and plans.
func (r *Rotator) Observe(ctx context.Context, s *Secret) (State, Decision, error) {
	w := &work{Rotator: r.withDefaults(), s: s}
	if err := w.traced(ctx, Span{Name: "observe"}, w.look); err != nil {
		return State{}, Decision{}, err
	}
	return w.state, w.Plan(w.state, s.Policy, w.Now()), nil
}

func (w *work) look(ctx context.Context) error {
	var err error
	if w.progress, err = w.load(ctx, w.s.Name); err != nil {
		return fmt.Errorf("%s: %w", w.s.Name, err)
	}
	if err = w.surroundings(ctx); err == nil {
		err = w.observe(ctx)
	}
	if err == nil {
		err = w.list(ctx)
	}
	return w.fail(err)
}

// work is one worker's turn at one secret.
type work struct {
	*Rotator
	s          *Secret
	lease      Lease
	leasedAt   time.Time // when the lease was last prolonged, by our clock
	progress   Progress
	entries    []Entry // not yet in the journal
	state      State
	due        bool // nobody asked for it
	force      Step // to be taken ahead of its date; None once it was taken
	asked      Step // what a person asked for, all through the turn
	wishing    bool // what was asked for is a [Wish]
	halts      Halts
	restoredAt time.Time // when the journal was put back to an older state
	outdated   string    // the current version that was refused since
	neighbors  []Neighbor
	beside     []Neighbor   // that must still stand so at the next save
	looks      int          // of a driven turn, at whether the previous credential is idle
	sampled    bool         // a look at sampled evidence was counted in this turn
	seen       []Credential // values that passed through, for the sanitiser
	result     Result
}

// withWork takes the lease, runs f and saves what is left to save.
func (r *Rotator) withWork(ctx context.Context, s *Secret, f func(context.Context, *work) error) (Result, error) {
	w := &work{Rotator: r.withDefaults(), s: s, result: Result{Secret: s.Name}}
	return w.whole(ctx, f)
}

// whole is a turn from its lease to its last save.
func (w *work) whole(ctx context.Context, f func(context.Context, *work) error) (Result, error) {
	err := w.traced(ctx, Span{Name: "turn"}, func(ctx context.Context) error { return w.turn(ctx, f) })
	return w.result, err
}

func (w *work) turn(ctx context.Context, f func(context.Context, *work) error) error {
	err := w.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", w.s.Name, err)
	}
	defer w.release(ctx)
	if w.progress, err = w.load(ctx, w.s.Name); err != nil {
		return fmt.Errorf("%s: %w", w.s.Name, err)
	}
	err = w.surroundings(ctx)
	if err == nil {
		err = f(ctx, w)
	}
	// What was done must be written down even when ctx has ended. What is yet to
	// be sent needs the lease.
	if saveErr := w.write(context.WithoutCancel(ctx), len(w.progress.Unsent) == 0); saveErr != nil {
		return w.fail(errors.Join(err, saveErr))
	}
	w.notify(ctx)
	return w.fail(err)
}

// acquire takes the secret's lease.
func (w *work) acquire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	w.leasedAt = w.Now()
	var err error
	w.lease, err = w.Journal.Acquire(ctx, AcquireRequest{
		Secret: w.s.Name, Holder: w.Holder, TTL: w.LeaseTTL, Configuration: w.s.Configuration, Due: w.due,
	})
	return err
}

// release gives the lease back unless that is done, also when ctx has ended.
// Where it fails, the lease runs out by itself.
func (w *work) release(ctx context.Context) {
	if w.lease.Holder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.CallTimeout)
	defer cancel()
	_ = w.Journal.Release(ctx, w.lease)
}

// load reads a secret's progress.
func (r *Rotator) load(ctx context.Context, secret string) (Progress, error) {
	ctx, cancel := context.WithTimeout(ctx, r.CallTimeout)
	defer cancel()
	return r.Journal.Load(ctx, secret)
}

// fail puts the secret's name before an error and cuts values out of it.
func (w *work) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", w.s.Name, Sanitize(err, w.seen...))
}

// advance plans and acts until there is something to wait for, and remembers
// what it found.
func (w *work) advance(ctx context.Context) error {
	err := w.act(ctx)
	w.remember(err)
	return err
}

func (w *work) act(ctx context.Context) error {
	var given error // why a credential was given up in this turn
	for range maxSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.observe(ctx); err != nil {
			return w.failed(Decision{Next: None}, err)
		}
		w.fulfilled()
		d := w.Plan(w.state, w.s.Policy, w.Now())
		if d.Observe {
			if err := w.list(ctx); err != nil {
				return w.failed(d, err)
			}
			d = w.Plan(w.state, w.s.Policy, w.Now())
		}
		w.outlive(d)
		if d.Step != None && (w.force == None && (w.asked == Deactivate || w.asked == Delete) || w.twice(d)) {
			// What was asked for is done; what else is due is for the next turn.
			d = Decision{Next: d.Step, Due: d.Due, At: w.Now(), Reason: d.Reason}
		}
		w.result.Last = d
		if d.Step == None || given != nil && d.Step == Create {
			return given // the next one is for the next turn
		}
		if d.Step == Create && w.force != Create {
			w.beside = w.neighbors
		}
		err := w.do(ctx, d)
		w.beside = nil
		if errors.Is(err, ErrNeighbor) {
			// Another worker was quicker with that one: decide anew.
			if err := w.meet(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			err = w.failed(d, err)
			if w.progress.Versions[d.Version].Rejected == "" || w.state.Traits.Overlap() || given != nil {
				return err
			}
			// Without overlap the old credential is dead: it is put back at once.
			given = err
			continue
		}
		w.succeeded(d)
	}
	return &Error{Op: "advance", Class: Stop, Err: fmt.Errorf("still not done after %d steps, the last of them %s", maxSteps, w.result.Last.Step)}
}

// twice tells that what was asked for was done in an earlier turn, and that d is
// the step after it: a deactivation that is asked for again deletes nothing.
func (w *work) twice(d Decision) bool {
	previous, ok := Find(w.state.Contents.Versions, Previous)
	return w.asked == Deactivate && d.Step == Delete && ok && d.Version == previous.ID
}

// do carries out one step.
func (w *work) do(ctx context.Context, d Decision) error {
	w.Report(Report{Secret: w.s.Name, Decision: d})
	span := Span{Name: "step." + string(d.Step), Step: d.Step, Version: d.Version, Credential: d.Credential}
	err := w.traced(ctx, span, func(ctx context.Context) error { return w.step(ctx, d) })
	err = Sanitize(err, w.seen...)
	w.Report(Report{Secret: w.s.Name, Decision: d, Done: true, Err: err})
	if err != nil {
		// Info: the error goes back to the caller, who tells of it.
		w.Log.InfoContext(ctx, string(d.Step), "secret", w.s.Name, "version", d.Version, "credential", d.Credential, "error", err)
	} else {
		w.Log.InfoContext(ctx, string(d.Step), "secret", w.s.Name, "version", d.Version, "credential", d.Credential, "reason", d.Reason)
	}
	return err
}

func (w *work) step(ctx context.Context, d Decision) error {
	switch d.Step {
	case Create:
		return w.create(ctx, d)
	case Set:
		return w.set(ctx, d)
	case Test:
		return w.test(ctx, d)
	case Promote:
		return w.promote(ctx, d)
	case Deliver:
		return w.deliver(ctx, d)
	case Reload:
		return w.reload(ctx, d)
	case Deactivate:
		return w.deactivate(ctx, d)
	case Delete:
		return w.delete(ctx, d)
	case Rollback:
		return w.rollback(ctx, d)
	}
	return fmt.Errorf("no such step: %q", d.Step)
}

// keep prolongs a lease that is half over, so that it outlasts the next call.
// Where the lease was lost, that call must not be made: what a stale worker
// does is refused here.
func (w *work) keep(ctx context.Context) error {
	if w.lease.Holder == "" || w.Now().Sub(w.leasedAt) < w.LeaseTTL/2 {
		return nil
	}
	return w.save(ctx)
}

// call runs f with the deadline of one outside call. The name and the object
// are those of its [Span].
func (w *work) call(ctx context.Context, name, object string, f func(context.Context) error) error {
	if err := w.keep(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	return w.traced(ctx, Span{Name: name, Object: object}, f)
}

// retry runs f until it succeeds or fails with another class than Wait, at
// most n times, each of them a call.
func (w *work) retry(ctx context.Context, n int, name, object string, f func(context.Context) error) error {
	backoff := 250 * time.Millisecond
	for {
		err := w.call(ctx, name, object, f)
		if n--; err == nil || n <= 0 || ClassOf(err) != Wait || errors.Is(err, ErrFenced) || errors.Is(err, ErrNotFound) {
			return err
		}
		if sleepErr := w.Sleep(ctx, backoff); sleepErr != nil {
			return err
		}
		backoff *= 2
	}
}

// save writes progress and the entries that are not yet written. A lost lease
// ends the turn here, before any further effect.
func (w *work) save(ctx context.Context) error { return w.write(ctx, false) }

// write saves, and gives the lease back with it if asked.
func (w *work) write(ctx context.Context, release bool) error {
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	at := w.Now()
	progress := w.progress
	progress.NextAt = progress.wakeAt(at)
	err := w.Journal.Save(ctx, SaveRequest{Lease: w.lease, Progress: progress, Entries: w.entries, Release: release, Neighbors: w.beside})
	if err == nil {
		w.entries, w.beside, w.leasedAt = nil, nil, at
		if release {
			w.lease = Lease{}
		}
	}
	return err
}

// begin writes down an effect before it happens.
func (w *work) begin(ctx context.Context, d Decision, objects ...string) error {
	if len(objects) == 0 {
		objects = []string{""}
	}
	for _, object := range objects {
		w.entry(d, object, Begun, d.Reason)
	}
	w.underWay()
	return w.save(ctx)
}

// underWay has the next run look at once, should this process die, and whoever
// looks from outside know since when something is half done.
func (w *work) underWay() {
	w.progress.NextAt = time.Time{}
	if w.progress.Status.BegunAt.IsZero() {
		w.progress.Status.BegunAt = w.Now()
	}
}

// end notes how an effect went; it is written with the next save.
func (w *work) end(d Decision, object string, err error) {
	if err != nil {
		w.entry(d, object, Erred, Sanitize(err, w.seen...).Error())
		return
	}
	w.entry(d, object, Succeeded, "")
}

func (w *work) entry(d Decision, object string, o Outcome, detail string) {
	w.entries = append(w.entries, Entry{
		At: w.Now().UTC(), Actor: w.Actor, From: w.From, Secret: w.s.Name, Step: string(d.Step), Object: object,
		Version: d.Version, Credential: d.Credential, Outcome: o, Detail: detail,
	})
}

// update changes what is remembered of a version.
func (w *work) update(version string, f func(*VersionProgress)) {
	vp := w.progress.Versions[version]
	f(&vp)
	if w.progress.Versions == nil {
		w.progress.Versions = map[string]VersionProgress{}
	}
	w.progress.Versions[version] = vp
}
