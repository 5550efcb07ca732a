package rotation

import "github.com/rota-dev/rota"

// ruleManual plans for a secret that only a person can rotate. All Rota does is
// send reminders.
func ruleManual(v *view) (Decision, bool) {
	if !v.Traits.Manual {
		return Decision{}, false
	}
	done := v.Progress.DoneAt
	if done.IsZero() {
		return v.hold(HoldManual, rota.StepCreate, v.now, v.now.Add(rota.Day), []rota.Remedy{v.remedy(rota.RemedyDone, "once it is")}, "nobody has said when it was last rotated")
	}
	due, ever := v.policy.due(v.Secret, done, v.Progress.NotBefore)
	if !ever {
		return Decision{Reason: "nothing to do: the policy has no rotate_every"}, true
	}
	if !v.now.Before(due) {
		return v.hold(HoldManual, rota.StepCreate, due, v.now.Add(rota.Day), []rota.Remedy{v.remedy(rota.RemedyDone, "once it is")}, "a person has to rotate it%s: it was last done on %s", v.owned(), stamp(done))
	}
	d := Decision{Next: rota.StepCreate, Due: due, At: due, Reason: "a person has to rotate it" + v.owned()}
	if warn := due.Add(-v.policy.WarnBefore); v.now.Before(warn) {
		d.At = warn
	}
	return d, true
}

func (v *view) owned() string {
	if v.Owner == "" {
		return ""
	}
	return " (owner: " + v.Owner + ")"
}
