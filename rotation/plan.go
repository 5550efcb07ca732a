package rotation

import (
	"slices"
	"time"
)

// Plan decides what is to be done for a secret now. It is pure: the same state,
// policy and moment give the same decision.
//
// It is a chain of rules; the first that has something to say decides. When
// none has, the earliest moment at which one of them will is the decision.
func Plan(st State, p Policy, now time.Time) Decision {
	v := newView(st, p, now)
	for _, rule := range []func(*view) (Decision, bool){
		ruleManual,
		ruleOutdated,
		ruleRollback,
		ruleOwnership,
		rulePending,
		ruleServe,
		ruleOrphans,
		ruleFirst,
		ruleCurrentAtIssuer,
		ruleRetire,
		ruleRotate,
	} {
		if d, decided := rule(v); decided {
			return v.applyFailure(d)
		}
	}
	slices.SortStableFunc(v.waits, func(a, b Decision) int { return a.At.Compare(b.At) })
	if len(v.waits) == 0 {
		return Decision{Reason: "nothing to do: the policy has no rotate_every"}
	}
	return v.waits[0]
}
