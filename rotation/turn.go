package rotation

import (
	"context"
	"errors"

	"github.com/rota-dev/rota"
)

// turn is one worker's turn at one secret. It only runs steps; each of its parts
// owns one kind of knowledge:
//
//   - asked is what somebody wants from it,
//   - seen is what the outside systems said,
//   - ledger is what it remembers and writes down,
//   - outside is how it calls the secret's systems.
//
// [turn.state] puts them together for the planner.
type turn struct {
	*Rotator
	s       *Secret
	asked   request
	seen    observation
	ledger  *ledger
	outside *outside
	basis   basis // of the last decision
	result  Result
	// lockedOut says that setting the new credential failed in a way that may have
	// killed the current one.
	lockedOut bool
	unrenewed error // why credentials in use couldn't be renewed, which keeps the turn from nothing
	lost      bool  // the credential that a new one is to replace is one that nobody has
	blind     bool  // the last look at the store failed
	proves    bool  // it asks whether the next steps would succeed before one that can't be undone
	tells     bool  // it asks whether the current credential is in force
	// asksHolders says that it asks who still holds the previous credential.
	asksHolders bool
	// asksInstances says that it asks what instances hold.
	asksInstances bool
}

func (r *Rotator) newTurn(s *Secret, asked request) *turn {
	r = r.withDefaults()
	l := &ledger{Rotator: r, s: s, redactor: &redactor{}}
	return &turn{
		Rotator: r, s: s, asked: asked, ledger: l, outside: &outside{Rotator: r, s: s, ledger: l},
		result: Result{Secret: s.Name},
	}
}

// withTurn takes the lease, runs f, writes down what f left unwritten, and
// sends the events.
func (r *Rotator) withTurn(ctx context.Context, s *Secret, asked request, f func(context.Context, *turn) error) (Result, error) {
	t := r.newTurn(s, asked)
	err := t.outside.traced(ctx, Span{Name: "turn"}, func(ctx context.Context) error { return t.run(ctx, f) })
	return t.result, err
}

func (t *turn) run(ctx context.Context, f func(context.Context, *turn) error) error {
	if err := t.ledger.acquire(ctx, t.asked.due); err != nil {
		return t.named(err)
	}
	defer t.ledger.release(ctx)
	if err := t.ledger.load(ctx); err != nil {
		return err
	}
	err := f(ctx, t)
	t.ledger.progress.InFlight = nil // the turn ended by itself
	// What was done must be written down even if ctx has ended. Sending events
	// still needs the lease.
	if saveErr := t.ledger.write(context.WithoutCancel(ctx), len(t.ledger.progress.Unsent) == 0); saveErr != nil {
		return t.named(errors.Join(err, saveErr))
	}
	t.notify(ctx)
	return t.named(err)
}

// named puts the secret's name before an error and redacts it.
func (t *turn) named(err error) error {
	if err == nil {
		return nil
	}
	return &SecretError{Secret: t.s.Name, Err: t.ledger.clean(err)}
}

// state is everything the planner may know, as of the last look.
func (t *turn) state() State {
	_, lists := t.s.Issuer.(rota.Lister)
	_, canDeactivate := t.s.Issuer.(rota.Deactivator)
	_, reportsUse := t.s.Issuer.(rota.UseReporter)
	told, drifted, unverified := t.inForce()
	var names []string
	if namer, ok := t.s.Issuer.(rota.Namer); ok {
		names = namer.Names()
	}
	return State{
		Secret: t.s.Name, Owner: t.s.Owner, Traits: t.s.Issuer.Traits(),
		Targets: t.s.targetNames(), Reloaders: t.s.reloaderNames(),
		Contents: t.seen.contents, Lists: lists, Listed: t.seen.listed, Issued: t.seen.issued, Names: names,
		CanDeactivate: canDeactivate, ReportsNoUse: !reportsUse, Outdated: t.seen.outdatedSince, IdleLooks: t.seen.idleLooks,
		Proves: t.proves, Proven: t.seen.ready.asked, Unready: t.seen.ready.unready,
		Tells: t.tells, Told: told, Drifted: drifted, Unverified: unverified,
		AsksHolders: t.asksHolders && len(t.s.reporters()) > 0, HoldersKnown: t.seen.holdersKnown, Holdings: t.seen.holdings,
		AsksInstances: t.asksInstances, InstancesKnown: t.seen.instancesKnown, Instances: t.seen.instances,
		Progress: t.ledger.progress, Halts: t.ledger.constraints.halts, Peers: t.ledger.constraints.peers, Rivals: t.seen.rivals,
		Force: t.asked.force, Requested: t.asked.step, By: t.askedBy(), Chain: t.asked.chain, Driver: t.asked.driver,
	}
}

// askedBy is who wants the step that was asked for.
func (t *turn) askedBy() string {
	if r := t.ledger.progress.Requested; r != nil && t.asked.recorded {
		return r.By
	}
	return t.Actor
}

// view is what was seen last, as the planner sees it.
func (t *turn) view() *view { return newView(t.state(), t.s.Policy, t.Now()) }

// plan decides on what was seen last.
func (t *turn) plan() Decision {
	st, now := t.state(), t.Now()
	d := t.Plan(st, t.s.Policy, now)
	t.basis = newBasis(newView(st, t.s.Policy, now), d)
	return d
}

// advance acts until there is something to wait for, and writes down what it
// found.
func (t *turn) advance(ctx context.Context) error {
	err := t.act(ctx)
	t.conclude(err)
	switch {
	case t.unrenewed == nil || !t.ledger.progress.failsToRenew():
		return err // those that ended are replaced
	case err == nil:
		return t.unrenewed
	}
	return errors.Join(err, t.unrenewed)
}

// lookAgain plans once without acting, so that the status is accurate.
func (t *turn) lookAgain(ctx context.Context) error {
	err := t.look(ctx)
	if err == nil {
		t.result.Last = t.plan()
	}
	t.conclude(err)
	return err
}

// look observes the store and the issuer's list.
func (t *turn) look(ctx context.Context) error {
	if err := t.observe(ctx); err != nil {
		return err
	}
	return t.list(ctx)
}
