package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// readiness is what a turn found out about the steps that follow one that can't
// be undone: whether targets and reloaders would take the new credential and,
// where setting it kills the old one, whether the login that will test it works.
// If nobody knows a credential to log in with, the issuer and the user's own tests
// are asked what rota check asks them.
type readiness struct {
	asked bool
	// login says that the login path was tried. It can't be before there is any
	// credential to log in with.
	login   bool
	unready []Unready
}

// Unready is one reason why a step after an irreversible one would fail.
type Unready struct {
	Reason   string
	Remedies []rota.Remedy
}

// guardReady holds back what can't be undone until everything that follows is
// known to work. The successor of one that expires, or has ended, is made anyway:
// waiting would keep nobody from being locked out.
func guardReady(v *view, d Decision) (Decision, bool) {
	if !v.Proves || v.Traits.Lifetime > 0 || v.over(v.current) || !v.isIrreversible(d) {
		return Decision{}, false
	}
	if !v.Proven {
		return Decision{Prove: true, Next: d.Step, Version: d.Version, Credential: d.Credential, Due: d.Due, Reason: d.Reason}, true
	}
	reason, remedies := firstUnready(v.Unready)
	if reason == "" {
		return Decision{}, false
	}
	due, kept := d.Due, "the old one is left alone"
	if due.IsZero() {
		due = v.now
	}
	switch {
	case v.isLost(): // making that one ended the old one
		kept = "none is made, although consumers can't log in"
	case v.takesOver(): // somebody else ended it
		kept = "the one in force isn't taken over, although consumers can't log in"
	}
	return v.hold(HoldNotReady, d.Step, due, v.now.Add(readyRecheck), remedies, "the new credential couldn't be put to use, so %s: %s", kept, reason)
}

// firstUnready is the first reason, and how many more there are; "" for none.
func firstUnready(all []Unready) (reason string, remedies []rota.Remedy) {
	if len(all) == 0 {
		return "", nil
	}
	reason = all[0].Reason
	if more := len(all) - 1; more > 0 {
		reason += fmt.Sprintf(" (and %d more)", more)
	}
	return reason, all[0].Remedies
}

// isIrreversible reports whether a step makes a credential, or kills the one
// that's in use.
func (v *view) isIrreversible(d Decision) bool {
	switch d.Step {
	case rota.StepCreate:
		return true
	case rota.StepSet:
		return !v.putsBack(d) && !v.Traits.IssuerChooses && !v.Traits.Overlap() &&
			v.Progress.Versions[d.Version].SetBegunAt.IsZero()
	}
	return false
}

// askReady asks everything that [guardReady] needs to know. It changes nothing
// outside. The error is one that may pass, such as of a system that can't be
// reached.
func (t *turn) askReady(ctx context.Context) error {
	var unready []Unready
	for _, target := range t.s.Targets {
		found, err := t.unready(ctx, "target", target.Name(), target)
		if err != nil {
			return err
		}
		unready = append(unready, found...)
	}
	for _, r := range t.s.Reloaders {
		found, err := t.unready(ctx, "reloader", r.Name(), r)
		if err != nil {
			return err
		}
		unready = append(unready, found...)
	}
	unready = append(unready, t.unacceptable(ctx)...)
	found, tried, err := t.unreadyLogin(ctx)
	if err != nil {
		return err
	}
	t.seen.ready = readiness{asked: true, login: tried, unready: append(unready, found...)}
	return nil
}

// unready asks one of the secret's systems what rota check asks.
func (t *turn) unready(ctx context.Context, role, name string, part any) ([]Unready, error) {
	p, ok := part.(rota.Preflighter)
	if !ok {
		return nil, nil
	}
	var out []Unready
	err := t.outside.call(ctx, role+".preflight", name, func(ctx context.Context) error {
		for _, f := range p.Preflight(ctx) {
			if !f.OK && !f.Warning {
				out = append(out, Unready{Reason: fmt.Sprintf("%s: %s: %s", strings.TrimSpace(role+" "+name), f.Check, f.Detail), Remedies: f.Remedies})
			}
		}
		return nil
	})
	return out, err
}

// unreadyLogin logs in the way the test will, where setting the new credential
// kills the old one. With the credential in force that must work, including the
// user's own tests. If the store doesn't hold it, what can be seen without it has
// to be in order: among other things, a wrong one has to be refused, or the right
// one would prove nothing.
func (t *turn) unreadyLogin(ctx context.Context) (unready []Unready, tried bool, err error) {
	if t.s.Issuer.Traits().Overlap() || t.view().isLost() { // nobody can log in with that
		return nil, true, nil
	}
	for _, v := range t.mayBeInForce() {
		c, err := t.outside.get(ctx, v.ID)
		if err != nil {
			return nil, false, err
		}
		tried = true
		switch err := t.tryLogin(ctx, c); {
		case err == nil:
			unready, err := t.unreadyChecks(ctx, c)
			return unready, true, err
		case errors.Is(err, rota.ErrRefused):
		case t.isNoneOfIssuer(ctx, v):
		case rota.ClassOf(err) == rota.ClassWait:
			return nil, false, fmt.Errorf("try the login that will test the new credential: %w", err)
		default:
			return []Unready{{Reason: "the login that would test it: " + rota.OneLine(t.ledger.clean(err).Error()), Remedies: rota.RemediesOf(err)}}, true, nil
		}
	}
	if _, ok := t.seen.credential(rota.LabelCurrent); ok && !t.wasAsked() && !t.s.Issuer.Traits().Readable {
		return nil, false, t.changedOutside()
	}
	unready, err = t.unready(ctx, "issuer", "", t.s.Issuer)
	for _, c := range t.s.Checks {
		if err != nil {
			break
		}
		var found []Unready
		found, err = t.unready(ctx, "check", c.Name(), c)
		unready = append(unready, found...)
	}
	return unready, tried, err
}

// isNoneOfIssuer reports whether the issuer doesn't list a version's credential,
// such as that of a role that rota.yaml doesn't name any more.
func (t *turn) isNoneOfIssuer(ctx context.Context, v rota.Version) bool {
	if !t.seen.listed && t.list(ctx) != nil {
		return false
	}
	_, there := t.seen.issuedAs(v.CredentialID)
	return t.seen.listed && !there
}

// mayBeInForce are the versions whose credential may be in force, the likeliest
// first.
func (t *turn) mayBeInForce() []rota.Version {
	var out []rota.Version
	for _, l := range []rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelPrevious} {
		v, ok := t.seen.credential(l)
		if ok && !v.Empty && (len(out) == 0 || out[0].ID != v.ID) {
			out = append(out, v)
		}
	}
	// Whoever calls a rotation off takes AWSPENDING from its version, which may
	// have been set by then. Only the mark that Rota made it is left.
	made := slices.DeleteFunc(slices.Clone(t.seen.contents.Versions), func(v rota.Version) bool {
		return v.Empty || !v.Has(rota.LabelMade(v.ID)) || slices.ContainsFunc(out, func(o rota.Version) bool { return o.ID == v.ID })
	})
	slices.SortStableFunc(made, func(a, b rota.Version) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return append(out, made...)
}

// tryLogin logs in with a credential. Being refused is an answer, and not
// repeated. If the issuer can tell which credential it keeps, its answer to the
// login has to follow from that: a server that asks somebody else would be set a
// new one in vain.
func (t *turn) tryLogin(ctx context.Context, c rota.Credential) error {
	id := t.s.Issuer.CredentialID(c)
	err := t.outside.retry(ctx, 3, "issuer.test", id, func(ctx context.Context) error {
		err := t.s.Issuer.Test(ctx, rota.TestRequest{Credential: c})
		if errors.Is(err, rota.ErrRefused) {
			return &rota.Error{Class: rota.ClassStop, Err: err}
		}
		return err
	})
	refused := errors.Is(err, rota.ErrRefused)
	if err != nil && !refused {
		return err
	}
	inForce, known, tellErr := t.outside.tell(ctx, c)
	stop := func(format string) error {
		return &rota.Error{Class: rota.ClassStop, Err: fmt.Errorf(format, id), Remedies: rota.Outside("see how that system checks its logins, and whether it lets this one in")}
	}
	switch {
	case tellErr != nil:
		return tellErr
	case known && !inForce && !refused:
		return stop("%s is let in with a credential other than the one that the system keeps, so setting a new one would change nothing")
	case known && inForce && refused && !t.wasAsked():
		return stop("%s is refused, although the system keeps just this credential")
	}
	return err
}

// unreadyChecks runs the user's own tests with the credential in force: one that
// fails it would fail the new one too.
func (t *turn) unreadyChecks(ctx context.Context, c rota.Credential) ([]Unready, error) {
	var out []Unready
	for _, check := range t.s.Checks {
		err := t.outside.retry(ctx, 3, "check", check.Name(), func(ctx context.Context) error { return check.Check(ctx, c) })
		switch {
		case err == nil:
		case rota.ClassOf(err) == rota.ClassWait && !errors.Is(err, rota.ErrRefused):
			return nil, fmt.Errorf("check %s with the current credential: %w", check.Name(), err)
		default:
			out = append(out, Unready{Reason: fmt.Sprintf("check %s fails with the current credential: %s", check.Name(), t.ledger.clean(err)), Remedies: rota.RemediesOf(err)})
		}
	}
	return out, nil
}

// wasAsked reports whether a person asked for the new credential, who may do so
// because nobody knows the one in force.
func (t *turn) wasAsked() bool {
	pending, ok := t.seen.find(rota.LabelPending)
	return t.asked.step == rota.StepCreate || ok && t.ledger.version(pending.ID).Asked
}

// changedOutside is the error if none of the credentials in the store is in
// force: whoever uses the one that is would be locked out.
func (t *turn) changedOutside() error {
	return &rota.Error{
		Op: "see which credential is in force", Class: rota.ClassStop, Err: fmt.Errorf("none of the credentials in the store logs in: someone changed it outside Rota: %w", rota.ErrConflict),
		Remedies: keepOrReplace(t.s.Name, t.s.Issuer.Traits()),
	}
}
