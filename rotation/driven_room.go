package rotation

import (
	"context"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// makeRoom frees a place at the issuer for the next credential: what a lost
// answer left goes first, then the previous credential where it must.
func (w *turn) makeRoom(ctx context.Context) error {
	if err := w.list(ctx); err != nil {
		return err
	}
	for range maxSteps {
		v := newView(w.state, w.s.Policy.WithDefaults(), w.Now())
		d, decided := w.room(v)
		switch {
		case !decided && d.Hold == HoldNone:
			return nil
		case d.Observe:
		case d.Step != rota.StepNone:
			if err := w.retryStep(ctx, d); err != nil {
				return err
			}
		case d.Hold != HoldNone:
			return &rota.Error{Op: "make room for the next credential", Class: rota.ClassWait, Err: fmt.Errorf("%s: %w", d.Reason, rota.ErrLimit)}
		default:
			if err := w.await(ctx, d.At, d.Reason); err != nil {
				return err
			}
		}
		if err := w.observe(ctx); err != nil {
			return err
		}
		if !w.state.Listed || d.Step == rota.StepNone { // what a step of ours did is known, and the list may lag
			if err := w.list(ctx); err != nil {
				return err
			}
		}
	}
	return &rota.Error{Op: "make room for the next credential", Class: rota.ClassStop, Err: fmt.Errorf("still none after %d steps", maxSteps)}
}

// room decides what is in the way of the next credential.
func (w *turn) room(v *view) (Decision, bool) {
	if d, decided := ruleOrphans(v); decided {
		return d, true
	}
	if at := v.consistentAt(); v.now.Before(at) {
		return Decision{At: at, Reason: "waiting until the issuer's list shows what the last call did"}, true
	}
	full := v.Lists && v.Traits.Limit > 1 && len(v.Issued) >= v.Traits.Limit
	named := !v.Traits.IssuerChooses && v.Traits.Limit > 1 // the previous one's name is the next one's
	switch {
	case v.retirable() && (full || named):
		return w.retirePrevious(v)
	case full:
		return v.hold(HoldNoFreeSlot, rota.StepCreate, v.now, v.now.Add(holdRecheck),
			"all %d places are taken: %s; what is not in the store is not Rota's to delete (try: delete the one that nobody uses)", v.Traits.Limit, names(v.Issued))
	}
	return Decision{}, false
}

// retirePrevious is the retirement just before the next is created.
func (w *turn) retirePrevious(v *view) (Decision, bool) {
	if !v.previous.Ours() {
		return v.foreignPrevious(rota.StepDeactivate, v.now)
	}
	c, listed := v.issued(v.previous.CredentialID)
	if !listed || !c.Active {
		return v.do(rota.StepDelete, v.previous, v.now, "the next is due, and it is inactive")
	}
	if c.Use.Evidence != rota.EvidenceSampled {
		if d, held := v.proveUnused(c.Use, v.now); held {
			return d, true
		}
		return v.do(rota.StepDeactivate, v.previous, v.now, "the next is due, and nobody uses it")
	}
	return w.sampleNow(v, c)
}

// sampleInterval lies between two looks of one turn.
const sampleInterval = time.Second

// sampleNow is the proof of non-use by a driver that remembers no earlier looks:
// the previous credential was replaced long enough ago, and several looks in a
// row find it idle. When it was replaced nobody wrote down; its successor's date
// is a little before.
func (w *turn) sampleNow(v *view, c rota.Issued) (Decision, bool) {
	quiet := v.policy.UnusedFor
	if replaced := v.current.CreatedAt.Add(quiet); v.now.Before(replaced) {
		return v.hold(HoldInUse, rota.StepDeactivate, v.now, replaced, "the previous credential %s was replaced only %s ago; that must be %s",
			c.ID, rota.FormatDuration(v.now.Sub(v.current.CreatedAt).Truncate(time.Second)), rota.FormatDuration(quiet))
	}
	if !c.Use.At.IsZero() {
		return v.hold(HoldInUse, rota.StepDeactivate, v.now, v.now.Add(holdRecheck), "the previous credential %s is in use now%s", c.ID, by(c.Use))
	}
	if w.looks++; w.looks < minSamples {
		return Decision{At: v.now.Add(sampleInterval), Reason: "look again whether the previous credential is in use"}, true
	}
	return v.do(rota.StepDeactivate, v.previous, v.now, "the next is due, and no session of it is open")
}

// retryStep carries out a step on the way to something else, and tries again
// what may only need time, such as a list that lags.
func (w *turn) retryStep(ctx context.Context, d Decision) error {
	backoff := time.Second
	for try := 1; ; try++ {
		err := w.do(ctx, d)
		if err == nil {
			w.succeeded(d)
			return nil
		}
		if try == 4 || rota.ClassOf(err) != rota.ClassWait {
			return err
		}
		if sleepErr := w.Sleep(ctx, backoff); sleepErr != nil {
			return err
		}
		backoff *= 2
	}
}

// await waits for a moment, unless the context ends before.
func (w *turn) await(ctx context.Context, until time.Time, why string) error {
	left := until.Sub(w.Now())
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < left {
		return &rota.Error{Op: "wait", Class: rota.ClassWait, Err: fmt.Errorf("%s, and there is not the time for it now", why)}
	}
	return w.Sleep(ctx, max(left, 0))
}
