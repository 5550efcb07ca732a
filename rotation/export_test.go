package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// What commands and drivers ask of a view, besides a plan.

func RefuseDriver(st State, p Policy, now time.Time) error { return newView(st, p, now).refuseDriver() }

func TakenIn(st State) []string { return newView(st, Policy{}, time.Time{}).taken() }

// FailureOver reports whether what failed last is done or isn't due any more.
func FailureOver(st State, p Policy, now time.Time) bool {
	return newView(st, p, now).overtakesFailure(Plan(st, p, now))
}

// WaysOut are the remedies of errors, by what went wrong.
func WaysOut(st State, p Policy, now time.Time) map[string][]rota.Remedy {
	v := newView(st, p, now)
	return map[string][]rota.Remedy{
		"the current one isn't in force": v.notInForce(v.current.CredentialID),
		"the current one is refused":     v.refusedCurrent(),
		"the rollback is refused":        v.refusedRollback(),
	}
}

// Turns is how often a projection plans, and what it says.
func Turns(st State, p Policy, from, until time.Time) (turns int, planned []Planned) {
	turns = project(st, p, from, until, func(p Planned) bool { planned = append(planned, p); return true })
	return turns, planned
}

// EndIntent is what is left of intents once the call for a version returned.
func EndIntent(intents []Intent, version string, at time.Time) []Intent {
	l := &ledger{Rotator: &Rotator{Now: func() time.Time { return at }}, progress: Progress{Intents: intents}}
	l.endIntent(version)
	return l.progress.Intents
}

func RetryPutBack(f *Failure, p Policy) time.Time { return retryPutBack(f, p) }

// InForce asks by the ways that a policy allows.
func (d DriftCheck) InForce(tell func() (kept, known bool, err error), logIn func() error) (inForce, known bool, err error) {
	return d.inForce(tell, logIn)
}

// KnownInForce is what the planner knows about the current version: told is the
// version that was asked about in this turn, and last the last answer before.
func KnownInForce(current, toldVersion string, drifted, tells bool, last InForce) (asked, isDrifted bool, unverified *Unverified) {
	t := &turn{tells: tells, ledger: &ledger{progress: Progress{InForce: last}}}
	t.seen.contents.Versions = []rota.Version{{ID: current, Labels: []rota.Label{rota.LabelCurrent}}}
	t.seen.told = told{version: toldVersion, drifted: drifted}
	return t.inForce()
}

func FailureAfter(before *Failure, step rota.Step, err error, traits rota.Traits, now time.Time) *Failure {
	return failureAfter(before, step, err, traits, now)
}

func (f *Failure) Rejects(traits rota.Traits) bool { return f.rejects(traits) }

func Concerning(err error, secret string) error { return concerning(err, secret) }

// Answered is what's left of intents once the store has these versions.
func Answered(intents []Intent, versions []rota.Version, looks bool) []Intent {
	return answered(intents, versions, looks)
}
