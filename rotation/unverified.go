package rotation

import (
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// Unverified is why looks get no answer to whether the current credential is in
// force. As long as that's so, nobody hears of drift.
type Unverified struct {
	Since time.Time `json:"since"` // the first look without an answer
	// Stops says that asking again won't help until a person acts.
	Stops    bool          `json:"stops,omitempty"`
	Reason   string        `json:"reason"`
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

// unverifiedFor is how long a system may give no answer before a person hears of
// it.
const unverifiedFor = rota.Day

// noteUnverified remembers that a look got no answer. Drift that's known already
// stays known: its hold says more.
func (t *turn) noteUnverified(version string, drifted bool, err error) {
	t.seen.told = told{version: version, drifted: drifted}
	last := &t.ledger.progress.InForce
	if last.Version != version {
		*last = InForce{Version: version}
	}
	err = t.ledger.clean(err)
	now := &Unverified{Since: t.Now(), Stops: rota.ClassOf(err) == rota.ClassStop, Reason: rota.OneLine(err.Error()), Remedies: rota.RemediesOf(err)}
	if last.Unverified != nil {
		now.Since = last.Unverified.Since
	}
	last.Unverified = now
}

// unverified says that drift can't be seen, if there's nothing else to do or to
// tell a person. A system that may answer again is asked again first.
func (v *view) unverified(d Decision) (Decision, bool) {
	u := v.Unverified
	if u == nil || d.Step != rota.StepNone || d.Prove || d.FindHolders || d.Hold != HoldNone && d.Hold != HoldInUse {
		return Decision{}, false
	}
	again := earlier(d.At, v.now.Add(holdRecheck))
	if !u.Stops && v.now.Before(u.Since.Add(unverifiedFor)) {
		d.At = again
		return d, true
	}
	held, _ := v.hold(HoldUnverified, d.Next, d.Due, again, v.verify(*u), "the issuer doesn't say whether the current credential %s is still in force: %s",
		v.current.CredentialID, u.Reason)
	return held, true
}

// verify returns the remedies if the issuer doesn't say whether the current
// credential is in force. One that never will, such as a server that lets anyone
// in, needn't be asked.
func (v *view) verify(u Unverified) []rota.Remedy {
	remedies := slices.Clone(u.Remedies)
	switch {
	case len(remedies) > 0:
	case u.Stops:
		remedies = rota.Outside("find out why the issuer doesn't say")
	default:
		remedies = []rota.Remedy{{Action: rota.RemedyWait, Text: "until the issuer answers again"}}
	}
	if v.policy.DriftCheck == DriftPassive || len(rota.Requirements(remedies)) > 1 {
		return remedies
	}
	return append(remedies, rota.Remedy{Action: rota.RemedyConfigure, Key: "drift_check", Value: string(DriftPassive),
		Text: fmt.Sprintf("drift_check: %s in the policy, if nobody has to hear of a change outside Rota", DriftPassive)})
}
