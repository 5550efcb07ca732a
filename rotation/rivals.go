package rotation

import (
	"errors"
	"slices"

	"github.com/rota-dev/rota"
)

// Rivals are other secrets that change the same thing outside as this one, such
// as the same database role through another connection. If both rotated it, each
// would break what the other has made.
type Rivals struct {
	Found []Rival
	// Unknown are those of which it can't be told for now, because a system
	// doesn't say which account or server it is. They hold nothing back.
	Unknown []Rival
}

// Rival is one of them.
type Rival struct {
	Secret string
	// Reason says what both change, and where rota.yaml says so. It goes into
	// holds, errors and the audit, and so doesn't name the other secret or its
	// connection: whoever may work on one of the two may not be allowed to know of
	// the other.
	Reason   string
	Remedies []rota.Remedy
	// Finding is what check says, with both names and how it's known.
	Finding rota.Finding
}

// Anonymous is the rival without the other secret's name.
func (r Rival) Anonymous() Rival {
	r.Secret, r.Finding.Detail, r.Finding.Remedies = "", r.Reason, r.Remedies
	return r
}

// guardRivals holds back what another secret would undo. What has begun is
// finished: consumers may already depend on it.
func guardRivals(v *view, d Decision) (Decision, bool) {
	if len(v.Rivals) == 0 || !v.begins(d) {
		return Decision{}, false
	}
	r := v.Rivals[0]
	return v.hold(HoldRival, d.Step, d.Due, v.now.Add(holdRecheck), r.Remedies, "%s", r.Reason)
}

// begins reports whether a step changes something that nothing begun depends on.
func (v *view) begins(d Decision) bool {
	pending := v.hasPending && d.Version == v.pending.ID
	switch d.Step {
	case rota.StepCreate, StepAdopt:
		return true
	case rota.StepSet:
		return pending && !v.Traits.IssuerChooses && v.Progress.Versions[d.Version].SetBegunAt.IsZero()
	case rota.StepDeliver, rota.StepReload:
		return v.current.Has(rota.LabelServed) // something was added to rota.yaml since
	case rota.StepDeactivate, rota.StepDelete:
		return !pending
	}
	return false
}

// refuseRivals is the error of what a person asks for while another secret
// changes the same.
func (t *turn) refuseRivals() error {
	if len(t.seen.rivals) == 0 {
		return nil
	}
	r := t.seen.rivals[0]
	return &rota.Error{Class: rota.ClassStop, Err: errors.New(r.Reason), Remedies: r.Remedies}
}

// preflightRivals are the findings about other secrets that may change the same;
// none if there can't be any.
func preflightRivals(r Rivals) []rota.Finding {
	const check = "no other secret changes the same"
	var out []rota.Finding
	for _, x := range slices.Concat(r.Found, r.Unknown) {
		x.Finding.Check = check
		out = append(out, x.Finding)
	}
	if len(out) == 0 {
		out = append(out, rota.Finding{OK: true, Check: check})
	}
	return out
}
