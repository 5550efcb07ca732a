package rotation

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

// Rule decides what to do, or leaves the decision to the next rule of its chain.
// It's pure: everything it knows is in the view.
type Rule func(*view) (Decision, bool)

// Chain is a list of rules for one way of running Rota. Rules are tried in order,
// and the first one that applies decides. If none does, the decision is to wait
// until the earliest time at which one will.
//
// All chains are built from the same rules. They differ in which ones they leave
// out, and in how they prove that a credential is unused if the issuer only shows
// who is logged in right now.
type Chain struct {
	// Name describes the chain to people.
	Name  string
	rules []Rule
	// idle judges evidence that only covers this moment.
	idle proof
	// guards can hold back what a rule decided. Each one gets what the one before
	// left of it.
	guards []guard
}

// proof holds until enough momentary samples prove that the previous credential
// is unused.
type proof func(v *view, u rota.Use, due time.Time) (Decision, bool)

// guard replaces a step that must not be taken now, or a wait that isn't all there
// is to say, with a hold.
type guard func(v *view, d Decision) (Decision, bool)

// Scheduled is the chain for callers that come back later: the daemon, a sweep,
// the command line. Samples of use are remembered in the journal over the
// policy's UnusedFor.
var Scheduled = Chain{
	Name: "scheduled",
	rules: []Rule{
		ruleManual,
		ruleOutdated,
		ruleRollback,
		ruleOwnership,
		rulePending,
		ruleTakesOver,
		ruleServable,
		ruleRevoked,
		ruleServe,
		ruleOrphans,
		ruleFirst,
		ruleCurrentAtIssuer,
		ruleRetire,
		ruleRotate,
	},
	idle:   idleOverTime,
	guards: []guard{guardHalts, guardRivals, guardFailure, guardRequest, guardHolders, guardInstances, guardLocked, guardReady, guardDrift, guardRenew},
}

// Lifecycle is the chain for an event that asks for one action and keeps no state
// between runs. It's [Scheduled], except that several samples within one turn
// have to suffice.
var Lifecycle = Chain{Name: "lifecycle event", rules: Scheduled.rules, idle: idleNow, guards: Scheduled.guards}

// The four chains of a rotation that is driven from outside, as by Secrets
// Manager. Each takes the one step that the driver asks for, and whatever has to
// come before it. Retrying and stopping are up to the driver.
var (
	// DriverCreate makes room at the issuer, then makes the announced version.
	DriverCreate = Chain{Name: "driver: create", idle: idleNow, rules: []Rule{
		ruleDriverDone, ruleTakeOver, ruleOrphans, ruleConsistent, ruleRoom, ruleDriver,
	}, guards: []guard{guardHolders, guardInstances, guardLocked, guardReady}}
	// DriverSet makes the announced version valid.
	DriverSet = Chain{Name: "driver: set", idle: idleNow, rules: []Rule{ruleDriverDone, ruleDriver}, guards: []guard{guardLocked, guardReady}}
	// DriverTest logs in with the announced version, or rehearses with the
	// current one if nothing has been created yet.
	DriverTest = Chain{Name: "driver: test", idle: idleNow, rules: []Rule{ruleDriverDone, ruleRehearse, ruleDriver}}
	// DriverPromote promotes the tested version and serves it.
	DriverPromote = Chain{Name: "driver: promote", idle: idleNow, rules: []Rule{ruleProveFirst, ruleDriver, ruleServe, ruleDriverDone}}
)

// Plan decides what to do for a secret now, using the state's [Chain]. It's pure:
// the same state, policy and time give the same decision.
func Plan(st State, p Policy, now time.Time) Decision {
	v := views.Get().(*view)
	defer views.Put(v)
	*v = view{State: st}
	v.complete(p, now)
	chain := st.chain()
	d := chain.foresee(v, chain.plan(v))
	*v = view{}
	return d
}

// views are kept because a rotation plans about ten times, and no rule keeps the
// view that it's given: they'd be a fifth of the memory that it allocates.
var views = sync.Pool{New: func() any { return new(view) }}

// chain returns the chain of the driver's step, or else the one that the turn
// began with.
func (st State) chain() Chain {
	switch {
	case st.Driver == nil && st.Chain.rules == nil:
		return Scheduled
	case st.Driver == nil:
		return st.Chain
	}
	return st.Driver.chain()
}

func (c Chain) plan(v *view) Decision {
	v.idle = c.idle
	d := c.decide(v)
	for _, guard := range c.guards {
		if held, holds := guard(v, d); holds {
			d = held
		}
	}
	return d
}

// decide returns the decision of the first rule that applies, or else the first
// wait.
func (c Chain) decide(v *view) Decision {
	for _, rule := range c.rules {
		if d, decided := rule(v); decided {
			return d
		}
	}
	slices.SortStableFunc(v.waits, func(a, b Decision) int { return a.At.Compare(b.At) })
	if len(v.waits) == 0 {
		return Decision{Reason: "nothing to do: the policy has no rotate_every"}
	}
	for _, wait := range v.waits {
		if held, holds := failing(v, wait); holds {
			return held
		}
	}
	return v.waits[0]
}

// foresee adds to a wait that what it waits for will be held, if that's what the
// same rules will say when it's due and only a person can change it. Nobody is
// promised a date on which nothing happens. The view is of that date afterwards.
func (c Chain) foresee(v *view, wait Decision) Decision {
	if len(v.waits) == 0 || wait.Hold != HoldNone || !wait.Due.After(v.now) {
		return wait
	}
	v.now, v.waits = maxTime(wait.At, wait.Due), nil
	v.State = unused(v.State)
	v.Halts = Halts{} // status shows those themselves
	v.Progress.Failure = nil
	v.Proves, v.Unverified = false, nil // targets and logins may be fine by then
	v.AsksHolders, v.AsksInstances = false, false
	v.keptAlive = true
	d := c.plan(v)
	if len(d.Remedies) == 0 || d.Hold == HoldRetrying {
		return wait
	}
	wait.Reason, wait.Remedies = "it will be held then: "+strings.TrimPrefix(d.Reason, holdPrefix), d.Remedies
	return wait
}
