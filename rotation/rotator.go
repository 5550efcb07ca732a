package rotation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/rota-dev/rota"
)

// Rotator carries out steps. It holds no state of its own between calls: what
// it needs is in the store's labels, at the issuer and in the journal. One
// Rotator serves many secrets, from several goroutines.
type Rotator struct {
	// Journal keeps progress, leases and the audit. Required.
	Journal Journal
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Sleep waits between tries. Defaults to [rota.Sleep].
	Sleep func(ctx context.Context, d time.Duration) error
	// NewID makes version ids. Defaults to NewVersionID.
	NewID func() string
	// Plan decides. Defaults to [Plan]; the simulator plants faults here.
	Plan func(State, Policy, time.Time) Decision
	// Holder is this worker's name in leases. Defaults to a random one.
	Holder string
	// Actor is who acts, for the audit. Defaults to "rota".
	Actor string
	// From is the address the actor's request came from, for the audit; "" on the
	// same machine, and for what Rota does by itself.
	From string
	// CallTimeout bounds one call to an outside system, except for reloads, which
	// have their own deadline. Defaults to 30 seconds.
	CallTimeout time.Duration
	// LeaseTTL is how long a lease lasts after its last write. Defaults to two
	// minutes.
	LeaseTTL time.Duration
	// Heartbeat is how often the lease is renewed during a reload. Defaults to
	// never, which suits a virtual clock.
	Heartbeat time.Duration
	// Log gets every step. Defaults to discarding them.
	Log *slog.Logger
	// Report, if any, is called as each step begins and ends, to show progress on
	// a terminal.
	Report func(Report)
	// Trace, if any, gets turns, steps and outside calls.
	Trace Tracer
}

// Report is one step's beginning or end.
type Report struct {
	Secret   string
	Decision Decision
	Done     bool
	Err      error
}

// Options say what is asked of one Advance.
type Options struct {
	// Force is a step to take ahead of the policy's dates: Create, Deactivate
	// or Delete.
	Force rota.Step
	// Due means that nobody asked: the secret is merely due. It is left alone, with
	// [rota.ErrOtherConfiguration], if another configuration of it is in force.
	Due bool
	// Chain is what to plan by; the zero value is [Scheduled].
	Chain Chain
	// Patience is how long the turn may wait in one go, within its context's
	// deadline, for what only time can bring, before it makes the credential that
	// Force asks for. It is for callers that can't come back later; zero is never.
	Patience time.Duration
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

func (r *Rotator) withDefaults() *Rotator {
	c := *r
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = rota.Sleep
	}
	if c.NewID == nil {
		c.NewID = rota.NewVersionID
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

// Advance does everything that is due for a secret now, step by step, until
// there is something to wait for. It takes the secret's lease first, and looks
// at the outside systems afresh before each step.
//
// The error is that of the step that failed, with the secret's name; a hold is
// no error. [rota.ErrBusy] and [rota.ErrFenced] mean that another worker has the
// secret.
func (r *Rotator) Advance(ctx context.Context, s *Secret, o Options) (Result, error) {
	asked := request{due: o.Due, step: o.Force, force: o.Force, chain: o.Chain, patience: o.Patience}
	return r.withTurn(ctx, s, asked, func(ctx context.Context, t *turn) error {
		t.takeRequest()
		if o.Force == rota.StepCreate {
			t.ledger.progress.Rollback = nil // a person wants a new one instead
		}
		return t.advance(ctx)
	})
}

// Rollback puts the previous credential back in the place of the current one,
// delivers it and reloads the consumers. If a new credential isn't promoted yet,
// that one is given up instead. It is an error if the previous credential is no
// longer there.
func (r *Rotator) Rollback(ctx context.Context, s *Secret) (Result, error) {
	return r.withTurn(ctx, s, request{}, func(ctx context.Context, t *turn) error {
		if err := t.refuseManual(); err != nil {
			return err
		}
		p := &t.ledger.progress
		p.Requested = nil // a person wants the old one instead
		if f := p.Failure; f != nil && f.Step == rota.StepRollback {
			p.Failure = nil // asked for again, it doesn't wait for the next try
		}
		if err := t.beginRollback(ctx); err != nil {
			return err
		}
		return t.advance(ctx)
	})
}

// Redeliver delivers the current credential to every target and reloads the
// consumers again.
func (r *Rotator) Redeliver(ctx context.Context, s *Secret) (Result, error) {
	return r.withTurn(ctx, s, request{}, func(ctx context.Context, t *turn) error {
		if err := t.refuseManual(); err != nil {
			return err
		}
		if err := t.observe(ctx); err != nil {
			return err
		}
		if err := t.refuseRivals(); err != nil {
			return err
		}
		current, ok := t.seen.credential(rota.LabelCurrent)
		if !ok {
			return rota.WithRemedies(errors.New("there is no current credential to deliver"), FirstCredential(s.Name))
		}
		t.ledger.update(current.ID, func(vp *VersionProgress) { vp.Delivered, vp.Reloaded = nil, nil })
		if f := t.ledger.progress.stepFailure(); f != nil && (f.Step == rota.StepDeliver || f.Step == rota.StepReload) {
			t.ledger.progress.Failure = nil // a person asks for it again, even after it was given up
		}
		return t.advance(ctx)
	})
}

// Observe looks at a secret without changing anything, and plans.
func (r *Rotator) Observe(ctx context.Context, s *Secret) (State, Decision, error) {
	t := r.newTurn(s, request{})
	err := t.outside.traced(ctx, Span{Name: "observe"}, func(ctx context.Context) error {
		if err := t.ledger.load(ctx); err != nil {
			return err
		}
		return t.named(t.look(ctx))
	})
	if err != nil {
		return State{}, Decision{}, err
	}
	t.proves, t.asksInstances = true, true
	d := t.plan()
	if d.CountInstances {
		if err := t.countInstances(ctx); err != nil {
			return State{}, Decision{}, t.named(err)
		}
		d = t.plan()
	}
	if d.Prove {
		if err := t.askReady(ctx); err != nil {
			t.seen.ready = readiness{asked: true, unready: []Unready{{Reason: rota.OneLine(t.ledger.clean(err).Error()), Remedies: rota.RemediesOf(err)}}}
		}
		d = t.plan()
	}
	return t.state(), d, nil
}
