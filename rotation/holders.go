package rotation

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// Holding is a consumer that may still hold the previous credential, as a target
// or reloader reported it.
type Holding struct {
	Reason   string
	Remedies []rota.Remedy
}

// holdersRecheck is how often it's asked whether consumers have let go.
const holdersRecheck = 5 * time.Minute

// guardHolders holds back the step that ends logins with the previous credential
// while a consumer still holds it. What the issuer says about its use isn't enough:
// a job may have read it and not used it yet.
func guardHolders(v *view, d Decision) (Decision, bool) {
	if !v.AsksHolders || !v.endsPrevious(d) {
		return Decision{}, false
	}
	if !v.HoldersKnown {
		return Decision{FindHolders: true, Next: d.Step, Version: d.Version, Credential: d.Credential, Due: d.Due, Reason: d.Reason}, true
	}
	if len(v.Holdings) == 0 {
		return Decision{}, false
	}
	first := v.Holdings[0]
	reason := first.Reason
	if more := len(v.Holdings) - 1; more > 0 {
		reason += fmt.Sprintf(" (and %d more)", more)
	}
	return v.hold(HoldInUse, d.Step, earlier(d.Due, v.now), v.now.Add(holdersRecheck), first.Remedies, "the previous credential %s may still be held: %s", v.previous.CredentialID, reason)
}

// endsPrevious reports whether a step ends logins with the previous credential,
// which work as far as is known.
func (v *view) endsPrevious(d Decision) bool {
	if !v.hasPrevious || d.Version != v.previous.ID || d.Step != v.retirement() || v.off() {
		return false
	}
	c, there := v.issued(v.previous.CredentialID)
	return (!v.Listed || there && c.Active) && !v.isOverUnused(c.Use)
}

// reporter is a target or reloader that can tell who holds an older value.
type reporter struct {
	role, name string
	rota.HolderReporter
}

func (s *Secret) reporters() []reporter {
	var found []reporter
	for _, target := range s.Targets {
		if r, ok := target.(rota.HolderReporter); ok {
			found = append(found, reporter{"target", target.Name(), r})
		}
	}
	for _, reloader := range s.Reloaders {
		if r, ok := reloader.(rota.HolderReporter); ok {
			found = append(found, reporter{"reloader", reloader.Name(), r})
		}
	}
	return found
}

// findHolders asks who still holds the previous credential. Whoever can't be asked
// counts as holding it.
func (t *turn) findHolders(ctx context.Context) {
	current, _ := t.seen.find(rota.LabelCurrent)
	t.seen.holdings, t.seen.holdersKnown = nil, true
	reporters := t.s.reporters()
	if len(reporters) == 0 {
		return
	}
	c, err := t.outside.get(ctx, current.ID)
	if err != nil {
		err = t.ledger.clean(err)
		t.seen.holdings = []Holding{{Reason: "the current version can't be read, to compare it with what's in place: " + rota.OneLine(err.Error()), Remedies: rota.RemediesOf(err)}}
		return
	}
	for _, r := range reporters {
		var holders []rota.Holder
		err := t.outside.retry(ctx, 3, r.role+".holders", r.name, func(ctx context.Context) (err error) {
			holders, err = r.Holders(ctx, rota.HoldersRequest{Secret: t.s.Name, Version: current.ID, Since: t.inPlace(current, r), From: t.from(current.ID), Credential: c})
			return err
		})
		if err != nil {
			err = t.ledger.clean(err)
			t.seen.holdings = append(t.seen.holdings, Holding{Reason: r.role + " " + r.name + " can't say: " + rota.OneLine(err.Error()), Remedies: rota.RemediesOf(err)})
		}
		for _, h := range holders {
			t.seen.holdings = append(t.seen.holdings, Holding{Reason: "by " + h.Name, Remedies: h.Remedies})
		}
	}
}

// inPlace is when the current version was in place at a target, or for a reloader
// at all targets.
func (t *turn) inPlace(current rota.Version, r reporter) time.Time {
	vp := t.ledger.version(current.ID)
	if at := vp.Delivered[r.name]; r.role == "target" && !at.IsZero() {
		return at
	}
	last := maxTime(vp.PromotedAt, current.CreatedAt)
	for _, at := range vp.Delivered {
		last = maxTime(last, at)
	}
	return last
}

// from is when nobody could have the current version's value yet: before it was made,
// or before a rollback made it current again. If somebody else has put it back, nobody
// knows when that was.
func (t *turn) from(version string) time.Time {
	current, _ := t.seen.find(rota.LabelCurrent)
	vp := t.ledger.version(version)
	switch {
	case current.ID != version, !vp.PutBackAt.IsZero():
		return time.Time{}
	case !t.ledger.progress.RolledBackAt.IsZero():
		return maxTime(current.CreatedAt, vp.PromotedAt)
	}
	return current.CreatedAt
}
