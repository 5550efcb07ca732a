package rotation

import (
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// minSamples is how many looks without use make sampled evidence.
const minSamples = 3

// proveUnused holds unless the issuer reports that the previous credential isn't
// used. Not knowing means in use. If the issuer can never know, a person's order
// ends that.
func (v *view) proveUnused(u rota.Use, due time.Time) (Decision, bool) {
	quiet := v.policy.UnusedFor
	switch forced := v.Force == v.retirement(); {
	case v.neverKnows() && forced:
		return Decision{}, false
	case v.neverKnows():
		return v.hold(HoldStillActive, v.retirement(), due, v.now.Add(holdRecheck), []rota.Remedy{v.remedy(v.retiring(), "when nobody uses it")},
			"the previous credential %s is active, and the issuer can't say whether it's used", v.previous.CredentialID)
	case u.Ambiguous && forced:
		return Decision{}, false
	case u.Ambiguous && !u.At.IsZero():
		return v.hold(HoldStillActive, v.retirement(), due, v.now.Add(max(quiet/4, time.Minute)), []rota.Remedy{v.remedy(v.retiring(), "when nobody uses it")},
			"the previous credential %s is active, and the issuer can't say whether it's the one in use%s", v.previous.CredentialID, by(u))
	}
	switch u.Evidence {
	case rota.EvidenceRecorded:
		if v.now.Sub(u.At) >= quiet { // or it was never used
			return Decision{}, false
		}
		return v.hold(HoldInUse, v.retirement(), due, u.At.Add(quiet), nil, "the previous credential %s was used %s ago%s; it must be unused for %s",
			v.previous.CredentialID, span(max(v.now.Sub(u.At), 0)), by(u), rota.FormatDuration(quiet))
	case rota.EvidenceSampled:
		return v.idle(v, u, due)
	default:
		return v.hold(HoldInUse, v.retirement(), due, v.now.Add(holdRecheck), v.unknownUse(u), "the issuer does not say whether the previous credential %s is used%s", v.previous.CredentialID, by(u))
	}
}

// retiring is how a person asks for the retirement.
func (v *view) retiring() rota.RemedyAction {
	if v.deletesActive() {
		return rota.RemedyDelete
	}
	return rota.RemedyDeactivate
}

// neverKnows reports whether the issuer could never say whether a credential is
// in use.
func (v *view) neverKnows() bool { return !v.Lists || v.ReportsNoUse }

// idleOverTime is the proof by whoever remembers earlier looks: several found
// the previous credential idle, over the policy's UnusedFor.
func idleOverTime(v *view, u rota.Use, due time.Time) (Decision, bool) {
	quiet := v.policy.UnusedFor
	vp := v.Progress.Versions[v.previous.ID]
	again := v.now.Add(quiet / 4)
	if !u.At.IsZero() {
		return v.hold(HoldInUse, v.retirement(), due, again, nil, "the previous credential %s is in use now%s", v.previous.CredentialID, by(u))
	}
	if vp.QuietSamples < minSamples || v.now.Sub(vp.QuietSince) < quiet {
		since := v.now
		if !vp.QuietSince.IsZero() {
			since = vp.QuietSince
		}
		return v.hold(HoldInUse, v.retirement(), due, again, nil, "no use of the previous credential %s was seen in %s over %s; at least %d looks over %s are needed",
			v.previous.CredentialID, looks(vp.QuietSamples), span(v.now.Sub(since)), minSamples, rota.FormatDuration(quiet))
	}
	return Decision{}, false
}

// sampleInterval lies between two looks of one turn.
const sampleInterval = time.Second

// idleNow is the proof by whoever remembers no earlier looks: the previous
// credential was replaced long enough ago, and several looks in a row find it
// idle. When it was replaced nobody wrote down; its successor's date is a little
// before.
func idleNow(v *view, u rota.Use, due time.Time) (Decision, bool) {
	quiet := v.policy.UnusedFor
	replaced := v.current.CreatedAt.Add(quiet)
	switch {
	case v.now.Before(replaced):
		return v.hold(HoldInUse, v.retirement(), due, replaced, nil, "the previous credential %s was replaced only %s ago; that must be %s",
			v.previous.CredentialID, rota.FormatDuration(v.now.Sub(v.current.CreatedAt).Truncate(time.Second)), rota.FormatDuration(quiet))
	case !u.At.IsZero():
		return v.hold(HoldInUse, v.retirement(), due, v.now.Add(holdRecheck), nil, "the previous credential %s is in use now%s", v.previous.CredentialID, by(u))
	case v.IdleLooks < minSamples:
		return Decision{Next: v.retirement(), Due: due, At: v.now.Add(sampleInterval), Reason: "look again whether the previous credential is in use"}, true
	}
	return Decision{}, false
}

func looks(n int) string {
	if n == 1 {
		return "1 look"
	}
	return fmt.Sprintf("%d looks", n)
}

// span is a duration for people, to whom fractions of a second are nothing.
func span(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	return rota.FormatDuration(d.Truncate(time.Second))
}

func by(u rota.Use) string {
	if u.Detail == "" {
		return ""
	}
	return " from " + u.Detail
}
