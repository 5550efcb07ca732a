package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// turn is one worker's turn at one secret.
type turn struct {
	*Rotator
	s           *Secret
	lease       Lease
	leasedAt    time.Time // when the lease was last prolonged, by our clock
	progress    Progress
	entries     []Entry       // not yet in the journal
	deferred    []StoreChange // of labels, left to the next commit
	state       State
	due         bool      // nobody asked for it
	force       rota.Step // to be taken ahead of its date; None once it was taken
	requested   rota.Step // what a person asked for, all through the turn
	fromRequest bool      // what was asked for is a [RotationRequest]
	halts       Halts
	restoredAt  time.Time // when the journal was put back to an older state
	outdated    string    // the current version that was refused since
	peers       []Peer
	peersAtSave []Peer            // that must still stand so at the next save
	chain       Chain             // to plan by
	driver      *Driving          // what a rotation's driver asks for; nil where none does
	patience    time.Duration     // how long it may wait in one go
	idleLooks   int               // in a row that found the previous credential idle, of sampled evidence
	sampled     bool              // a look at sampled evidence was counted in this turn
	redactions  []rota.Credential // values that passed through, for the sanitiser
	result      Result
}

// withWork takes the lease, runs f and saves what is left to save.
func (r *Rotator) withWork(ctx context.Context, s *Secret, f func(context.Context, *turn) error) (Result, error) {
	w := &turn{Rotator: r.withDefaults(), s: s, result: Result{Secret: s.Name}}
	return w.run(ctx, f)
}

// run is a turn from its lease to its last save.
func (w *turn) run(ctx context.Context, f func(context.Context, *turn) error) (Result, error) {
	err := w.traced(ctx, Span{Name: "turn"}, func(ctx context.Context) error { return w.runLocked(ctx, f) })
	return w.result, err
}

func (w *turn) runLocked(ctx context.Context, f func(context.Context, *turn) error) error {
	err := w.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", w.s.Name, err)
	}
	defer w.release(ctx)
	if err := w.load(ctx); err != nil {
		return err
	}
	err = f(ctx, w)
	// What was done must be written down even when ctx has ended. What is yet to
	// be sent needs the lease.
	if saveErr := w.write(context.WithoutCancel(ctx), len(w.progress.Unsent) == 0); saveErr != nil {
		return w.fail(errors.Join(err, saveErr))
	}
	w.notify(ctx)
	return w.fail(err)
}

// acquire takes the secret's lease.
func (w *turn) acquire(ctx context.Context) error {
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
func (w *turn) release(ctx context.Context) {
	if w.lease.Holder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.CallTimeout)
	defer cancel()
	_ = w.Journal.Release(ctx, w.lease)
}

// fail puts the secret's name before an error and cuts values out of it.
func (w *turn) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", w.s.Name, rota.Sanitize(err, w.redactions...))
}

// keep prolongs a lease that is half over, so that it outlasts the next call.
// Where the lease was lost, that call must not be made: what a stale worker
// does is refused here.
func (w *turn) keep(ctx context.Context) error {
	if w.lease.Holder == "" || w.Now().Sub(w.leasedAt) < w.LeaseTTL/2 {
		return nil
	}
	return w.save(ctx)
}

// call runs f with the deadline of one outside call. The name and the object
// are those of its [Span].
func (w *turn) call(ctx context.Context, name, object string, f func(context.Context) error) error {
	if err := w.keep(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	return w.traced(ctx, Span{Name: name, Object: object}, f)
}

// retry runs f until it succeeds or fails with another class than Wait, at
// most n times, each of them a call.
func (w *turn) retry(ctx context.Context, n int, name, object string, f func(context.Context) error) error {
	backoff := 250 * time.Millisecond
	for {
		err := w.call(ctx, name, object, f)
		if n--; err == nil || n <= 0 || rota.ClassOf(err) != rota.ClassWait || errors.Is(err, rota.ErrFenced) || errors.Is(err, rota.ErrNotFound) {
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
func (w *turn) save(ctx context.Context) error { return w.write(ctx, false) }

// write saves what there is to save as one commit: progress, entries, what was
// left to it and what is to change in the store now. It gives the lease back
// with it if asked.
func (w *turn) write(ctx context.Context, release bool, changes ...StoreChange) error {
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	at := w.Now()
	progress := w.progress
	progress.NextAt = progress.wakeAt(at)
	request := SaveRequest{Lease: w.lease, Progress: progress, Entries: w.entries, Release: release, Peers: w.peersAtSave}
	request.Changes = slices.Concat(w.deferred, changes)
	err := w.Journal.Save(ctx, request)
	if err != nil && len(changes) == 0 && w.overtaken(err) {
		request.Changes = nil
		err = w.Journal.Save(ctx, request)
	}
	if err == nil {
		w.entries, w.peersAtSave, w.deferred, w.leasedAt = nil, nil, nil, at
		if release {
			w.lease = Lease{}
		}
	}
	return err
}

// writeAhead writes down an effect before it happens.
func (w *turn) writeAhead(ctx context.Context, d Decision, objects ...string) error {
	if len(objects) == 0 {
		objects = []string{""}
	}
	for _, object := range objects {
		w.entry(d, object, OutcomeBegun, d.Reason)
	}
	w.markInFlight()
	return w.save(ctx)
}

// markInFlight has the next run look at once, should this process die, and whoever
// looks from outside know since when something is half done.
func (w *turn) markInFlight() {
	w.progress.NextAt = time.Time{}
	if w.progress.Status.BegunAt.IsZero() {
		w.progress.Status.BegunAt = w.Now()
	}
}

// noteOutcome notes how an effect went; it is written with the next save.
func (w *turn) noteOutcome(d Decision, object string, err error) {
	if err != nil {
		w.entry(d, object, OutcomeFailed, rota.Sanitize(err, w.redactions...).Error())
		return
	}
	w.entry(d, object, OutcomeSucceeded, "")
}

func (w *turn) entry(d Decision, object string, o Outcome, detail string) {
	w.entries = append(w.entries, Entry{
		At: w.Now().UTC(), Actor: w.Actor, From: w.From, Secret: w.s.Name, Step: string(d.Step), Object: object,
		Version: d.Version, Credential: d.Credential, Outcome: o, Detail: detail,
	})
}

// update changes what is remembered of a version.
func (w *turn) update(version string, f func(*VersionProgress)) {
	vp := w.progress.Versions[version]
	f(&vp)
	if w.progress.Versions == nil {
		w.progress.Versions = map[string]VersionProgress{}
	}
	w.progress.Versions[version] = vp
}
