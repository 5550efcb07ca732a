package rotation

import (
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// Rule decides what is to be done, or leaves that to the next rule of its chain.
// It is pure: all that it knows is in the view.
type Rule func(*view) (Decision, bool)

// Chain is a way of running Rota: rules in the order in which they are asked.
// The first with something to say decides. When none has, the earliest moment at
// which one of them will is the decision.
//
// All chains are made of the same rules. They differ in what they leave out, and
// in how they prove that a credential is not used where the issuer only shows
// who is logged in right now.
type Chain struct {
	// Name is the way of running, for people.
	Name  string
	rules []Rule
	// idle judges an issuer's answer that shows this moment alone.
	idle proof
	// guards may hold back what a rule decided.
	guards []guard
}

// proof holds until looks of one moment each prove that the previous credential
// is not used.
type proof func(v *view, u rota.Use, due time.Time) (Decision, bool)

// guard puts a hold in the place of a step that must not be taken now.
type guard func(v *view, d Decision) (Decision, bool)

// Scheduled is the chain of whoever comes back later: the daemon, a sweep, the
// command line. Looks are remembered in the journal, over the policy's
// UnusedFor.
var Scheduled = Chain{
	Name: "scheduled",
	rules: []Rule{
		ruleManual,
		ruleOutdated,
		ruleRollback,
		ruleOwnership,
		rulePending,
		ruleServable,
		ruleServe,
		ruleOrphans,
		ruleFirst,
		ruleCurrentAtIssuer,
		ruleRetire,
		ruleRotate,
	},
	idle:   idleOverTime,
	guards: []guard{guardHalts, guardRivals, guardFailure, guardRequest},
}

// Lifecycle is the chain of an event that asks for one act and keeps no memory
// between runs: as [Scheduled], but several looks within one turn must do.
var Lifecycle = Chain{Name: "lifecycle event", rules: Scheduled.rules, idle: idleNow, guards: Scheduled.guards}

// The four chains of a rotation that is led from outside, as by Secrets Manager.
// Each takes the one step that the driver asks for, and what must come before
// it. The driver itself retries, and stops what is to be stopped.
var (
	// DriverCreate makes room at the issuer, then makes the announced version.
	DriverCreate = Chain{Name: "driver: create", idle: idleNow, rules: []Rule{
		ruleDriverDone, ruleTakeOver, ruleOrphans, ruleConsistent, ruleRoom, ruleDriver,
	}}
	// DriverSet makes the announced version valid.
	DriverSet = Chain{Name: "driver: set", idle: idleNow, rules: []Rule{ruleDriverDone, ruleDriver}}
	// DriverTest logs in with the announced version, or rehearses with the
	// current one where nothing is created yet.
	DriverTest = Chain{Name: "driver: test", idle: idleNow, rules: []Rule{ruleDriverDone, ruleRehearse, ruleDriver}}
	// DriverPromote promotes what is tested, and serves it.
	DriverPromote = Chain{Name: "driver: promote", idle: idleNow, rules: []Rule{ruleProveFirst, ruleDriver, ruleServe, ruleDriverDone}}
)

// Plan decides what is to be done for a secret now, by the chain that the state
// is to be planned by. It is pure: the same state, policy and moment give the
// same decision.
func Plan(st State, p Policy, now time.Time) Decision {
	return st.chain().plan(newView(st, p, now))
}

// chain is that of the driver's step, or the one that the turn was begun with.
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
	for _, rule := range c.rules {
		if d, decided := rule(v); decided {
			return c.guarded(v, d)
		}
	}
	slices.SortStableFunc(v.waits, func(a, b Decision) int { return a.At.Compare(b.At) })
	if len(v.waits) == 0 {
		return Decision{Reason: "nothing to do: the policy has no rotate_every"}
	}
	return v.waits[0]
}

// guarded is the decision, or what the first guard with an objection says.
func (c Chain) guarded(v *view, d Decision) Decision {
	for _, guard := range c.guards {
		if held, holds := guard(v, d); holds {
			return held
		}
	}
	return d
}
