package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// ledger is what a turn remembers and writes down: progress, audit entries,
// events on their way, and changes of the secret's own store that commit with
// them. Only the ledger talks to the journal during a turn, under the turn's
// lease.
//
// Changes pile up in memory and become durable with the next save. An effect
// outside must be written ahead: see [ledger.writeAhead].
type ledger struct {
	*Rotator
	*redactor
	s           *Secret
	lease       Lease
	leasedAt    time.Time // when the lease was last renewed, by our clock
	constraints constraints
	progress    Progress
	entries     []Entry        // not yet in the journal
	deferred    []StoreChange  // label moves left to the next save
	contents    *rota.Contents // see takeContents
	peersAtSave []Peer         // peers that must not have changed when the next save commits
}

// acquire takes the secret's lease.
func (l *ledger) acquire(ctx context.Context, due bool) error {
	ctx, cancel := context.WithTimeout(ctx, l.CallTimeout)
	defer cancel()
	l.leasedAt = l.Now()
	var err error
	l.lease, err = l.Journal.Acquire(ctx, AcquireRequest{
		Secret: l.s.Name, Holder: l.Holder, TTL: l.LeaseTTL, Configuration: l.s.Configuration, Due: due,
	})
	return err
}

// release gives the lease back, even if ctx has ended, unless the last save
// already did. If that fails, the lease expires by itself.
func (l *ledger) release(ctx context.Context) {
	if l.lease.Holder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.CallTimeout)
	defer cancel()
	_ = l.Journal.Release(ctx, l.lease)
}

// keep renews a lease that is half over, so that it outlasts the next call. If
// the lease was lost, the call must not be made: this is where a stale worker
// is stopped.
func (l *ledger) keep(ctx context.Context) error {
	if l.lease.Holder == "" || l.Now().Sub(l.leasedAt) < l.LeaseTTL/2 {
		return nil
	}
	return l.save(ctx)
}

// keepDuring runs f and renews the lease while it runs. If the lease is lost,
// f's context ends.
func (l *ledger) keepDuring(ctx context.Context, f func(context.Context) error) error {
	if l.Heartbeat <= 0 {
		return f(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	progress := l.progress
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(l.Heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := l.Journal.Save(ctx, SaveRequest{Lease: l.lease, Progress: progress}); errors.Is(err, rota.ErrFenced) {
					cancel(err)
					return
				}
			}
		}
	}()
	err := f(ctx)
	lost := context.Cause(ctx)
	cancel(nil)
	<-stopped
	if errors.Is(lost, rota.ErrFenced) {
		return rota.ErrFenced
	}
	return err
}

// save makes progress and the new entries durable. If the lease was lost, the
// turn ends here, before any further effect.
func (l *ledger) save(ctx context.Context) error { return l.write(ctx, false) }

// write commits everything that isn't durable yet, together with these changes
// of the secret's store. With release, the same commit gives the lease back.
func (l *ledger) write(ctx context.Context, release bool, changes ...StoreChange) error {
	ctx, cancel := context.WithTimeout(ctx, l.CallTimeout)
	defer cancel()
	at := l.Now()
	progress := l.progress
	progress.NextAt = progress.wakeAt(at)
	request := SaveRequest{Lease: l.lease, Progress: progress, Entries: l.entries, Release: release, Peers: l.peersAtSave}
	contents, err := l.commit(ctx, request, slices.Concat(l.deferred, changes))
	if err != nil && len(changes) == 0 && l.overtaken(err) {
		contents, err = l.commit(ctx, request, nil)
	}
	if err == nil {
		l.entries, l.peersAtSave, l.deferred, l.leasedAt = nil, nil, nil, at
		l.contents = contents
		if release {
			l.lease = Lease{}
		}
	}
	return err
}

// commit saves, with changes of the secret's store if there are any. It returns
// what the store then holds, nil if that wasn't read.
func (l *ledger) commit(ctx context.Context, r SaveRequest, changes []StoreChange) (*rota.Contents, error) {
	if len(changes) == 0 {
		return nil, l.Journal.Save(ctx, r)
	}
	contents, err := l.storeKeeper().Commit(ctx, r, changes)
	if err != nil {
		return nil, err
	}
	return &contents, nil
}

// guardPeers makes the next save fail with [rota.ErrPeer] if a peer was touched
// since this turn looked at it.
func (l *ledger) guardPeers(ctx context.Context) error {
	if len(l.deferred) > 0 && len(l.constraints.peers) > 0 {
		if err := l.save(ctx); err != nil { // a commit that compares peers can't change labels as well
			return err
		}
	}
	l.peersAtSave = l.constraints.peers
	return nil
}

// writeAhead makes the intent of an effect durable before it happens, with one
// entry for each object that it is about.
func (l *ledger) writeAhead(ctx context.Context, d Decision, objects ...string) error {
	if len(objects) == 0 {
		objects = []string{""}
	}
	for _, object := range objects {
		l.enter(d, object, OutcomeBegun, d.Reason)
		l.landed(d, object)
		l.progress.InFlight = append(l.progress.InFlight, Effect{Step: d.Step, Object: object, Version: d.Version, Credential: d.Credential})
	}
	l.markInFlight()
	return l.save(ctx)
}

// markInFlight makes the next turn look at once, should this process die, and
// shows anyone watching since when something has been half done.
func (l *ledger) markInFlight() {
	l.progress.NextAt = time.Time{}
	if l.progress.Status.BegunAt.IsZero() {
		l.progress.Status.BegunAt = l.Now()
	}
}

// noteOutcome notes how an effect went, for the next save.
func (l *ledger) noteOutcome(d Decision, object string, err error) {
	l.landed(d, object)
	if err != nil {
		l.enter(d, object, OutcomeFailed, l.explain(err))
		return
	}
	l.enter(d, object, OutcomeSucceeded, "")
}

// landed notes that an effect isn't in flight any more.
func (l *ledger) landed(d Decision, object string) {
	l.progress.InFlight = slices.DeleteFunc(slices.Clone(l.progress.InFlight), func(e Effect) bool {
		return e.Step == d.Step && e.Object == object && e.Version == d.Version
	})
}

// noteInterrupted ends, in the audit, what a turn had in flight whose process
// died. next is what Rota does now that it has looked outside.
func (l *ledger) noteInterrupted(next Decision) {
	for _, e := range l.progress.InFlight {
		detail := "the process was stopped before it could record how this ended; "
		switch step := next.Step; {
		case step == e.Step && next.Version == e.Version:
			detail += "it is done again"
		case step != rota.StepNone:
			detail += "next: " + string(step) + ", " + next.Reason
		default:
			detail += "now: " + next.Reason
		}
		l.enter(Decision{Step: e.Step, Version: e.Version, Credential: e.Credential}, e.Object, OutcomeInterrupted, detail)
	}
	l.progress.InFlight = nil
}

func (l *ledger) enter(d Decision, object string, o Outcome, detail string) {
	l.entries = append(l.entries, Entry{
		At: l.Now().UTC(), Actor: l.Actor, From: l.From, Secret: l.s.Name, Step: string(d.Step), Object: object,
		Version: d.Version, Credential: d.Credential, Outcome: o, Detail: detail,
	})
}

// version is what is remembered of a version.
func (l *ledger) version(id string) VersionProgress { return l.progress.Versions[id] }

// update changes what is remembered of a version.
func (l *ledger) update(id string, f func(*VersionProgress)) {
	vp := l.progress.Versions[id]
	f(&vp)
	if l.progress.Versions == nil {
		l.progress.Versions = map[string]VersionProgress{}
	}
	l.progress.Versions[id] = vp
}

// redactor keeps the values that passed through a turn, and cuts them out of
// whatever the turn says.
type redactor struct{ values []rota.Credential }

func (r *redactor) redact(c rota.Credential) {
	if !slices.ContainsFunc(r.values, c.Equal) {
		r.values = append(r.values, c)
	}
}

// clean is the error without any of the values, and short enough to read.
func (r *redactor) clean(err error) error {
	err = rota.Sanitize(err, r.values...)
	if err == nil || len(rota.Brief(err.Error())) == len(err.Error()) {
		return err
	}
	return briefError{err}
}

// briefError is an error with a text that was too long.
type briefError struct{ error }

func (e briefError) Error() string { return rota.Brief(e.error.Error()) }

func (e briefError) Unwrap() error { return e.error }

// explain is an error as the audit has it: without values, and with what a
// person can do about it.
func (r *redactor) explain(err error) string {
	err = r.clean(err)
	return rota.WithHint(rota.OneLine(err.Error()), rota.RemediesOf(err), rota.Remedy.String)
}
