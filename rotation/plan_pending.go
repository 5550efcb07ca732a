package rotation

import (
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// rulePending takes a new credential through set, test and promote, or gives it
// up if it was rejected.
func rulePending(v *view) (Decision, bool) {
	if !v.hasPending {
		return Decision{}, false
	}
	if v.pending.Has(rota.LabelCurrent) {
		return v.do(rota.StepPromote, v.pending, v.pending.CreatedAt, "take AWSPENDING off the promoted version")
	}
	vp := v.Progress.Versions[v.pending.ID]
	if vp.Rejected != "" {
		return v.discard(vp)
	}
	if v.ended(v.pending) {
		return v.do(rota.StepDelete, v.pending, v.pending.CreatedAt, "give up the new credential: it expired, or nearly did, before it was in use")
	}
	if vp.SetAt.IsZero() && !v.Traits.IssuerChooses && !v.pending.Has(rota.LabelAdopted) {
		if d, held := v.unadopted(vp); held {
			return d, true
		}
		return v.do(rota.StepSet, v.pending, v.pending.CreatedAt, "make the new credential valid at the issuer")
	}
	if d, held := v.revoked(); held {
		return d, true
	}
	if !v.tested(vp) {
		return v.do(rota.StepTest, v.pending, v.pending.CreatedAt, "log in with the new credential")
	}
	return v.do(rota.StepPromote, v.pending, v.pending.CreatedAt, "the new credential works")
}

// revoked holds if somebody ended the new credential before it was in use, where
// making it has ended the one in use: neither works, and there's nothing to make the
// next one from. It's asked once the new one has failed its test.
func (v *view) revoked() (Decision, bool) {
	f := v.Progress.stepFailure()
	if !v.Traits.Replaces || f == nil || f.Step != rota.StepTest {
		return Decision{}, false
	}
	if v.unlisted() {
		return observe, true
	}
	if !v.dead(v.pending) {
		return Decision{}, false
	}
	return v.hold(HoldNotAtIssuer, rota.StepTest, v.pending.CreatedAt, v.now.Add(10*time.Minute),
		v.currentDead(), "the new credential %s is not at the issuer any more, and making it ended the old one", v.pending.CredentialID)
}

// testHolds is for how long a test counts. If the promotion comes later than that,
// because the rotation was interrupted, the credential is tested again: someone
// may have changed it meanwhile.
const testHolds = 5 * time.Minute

// tested reports whether a version passed its test just now.
func (v *view) tested(vp VersionProgress) bool {
	return v.now.Before(vp.TestedAt.Add(testHolds))
}

// unadopted holds if setting the first credential would replace one that Rota
// neither made nor adopted: when it was created the issuer had none, and since
// then somebody else has made one.
func (v *view) unadopted(vp VersionProgress) (Decision, bool) {
	_, there := rota.Find(v.Contents.Versions, rota.LabelCurrent)
	if there || v.hasPrevious || v.Traits.Overlap() || vp.Asked || v.Force == rota.StepCreate || !vp.SetBegunAt.IsZero() {
		return Decision{}, false
	}
	if v.unlisted() {
		return observe, true
	}
	if _, exists := v.issued(v.pending.CredentialID); !exists {
		return Decision{}, false
	}
	return v.hold(HoldNeverIssued, rota.StepSet, v.pending.CreatedAt, v.now.Add(holdRecheck),
		[]rota.Remedy{v.remedy(rota.RemedyAdoptGiven, "to keep it"), v.remedy(rota.RemedyRotate, "to replace it")},
		"the issuer has a credential for %s that Rota neither made nor adopted, and that someone may use", v.pending.CredentialID)
}

// undoes reports whether giving up the pending credential means undoing something
// at the issuer, because Rota made or set it. One that's being adopted was in use
// before, and one that the current version holds as well still is.
func (v *view) undoes() bool {
	shared := v.Traits.Overlap() && v.pending.CredentialID == v.current.CredentialID
	return v.hasPending && !shared && !v.pending.Has(rota.LabelAdopted) && v.Progress.Versions[v.pending.ID].touched(v.Traits)
}

// discard gives up a pending credential. It sets the current credential again if
// setting the pending one invalidated it, even if the current one isn't Rota's;
// deactivates and deletes what was made at the issuer; and removes the label.
func (v *view) discard(vp VersionProgress) (Decision, bool) {
	due := v.pending.CreatedAt
	undoes := v.undoes()
	if undoes && !v.Traits.Overlap() && !v.Traits.Readable && v.hasCurrent && vp.RestoredAt.IsZero() {
		return v.do(rota.StepSet, v.current, due, "put the current credential back: %s", vp.Rejected)
	}
	if undoes && v.Traits.Overlap() {
		if v.unlisted() {
			return observe, true
		}
		if c, _ := v.issued(v.pending.CredentialID); c.Active && v.CanDeactivate {
			return v.do(rota.StepDeactivate, v.pending, due, "give up the new credential: %s", vp.Rejected)
		}
	}
	return v.do(rota.StepDelete, v.pending, due, "give up the new credential: %s", vp.Rejected)
}

// ruleOrphans removes credentials from calls to Create whose response was lost.
// Credentials that Rota didn't make are left alone. Where creating one ended the one
// in use, the orphan is the only one left: the next takes its place, at once, because
// consumers can't log in.
func ruleOrphans(v *view) (Decision, bool) {
	if v.Traits.Replaces && v.Driver != nil {
		return Decision{}, false // the driver's own version takes its place
	}
	if id, is := v.calledOff(); is {
		return Decision{Step: rota.StepCreate, Due: v.now, Reason: "the rotation that made " + id + " was called off, and creating it ended the one in use, so consumers can't log in until the next one is in its place"}, true
	}
	for _, c := range v.Issued {
		intent, ours := v.orphanOf(c)
		if !ours || v.replacedSince(intent) {
			continue
		}
		if settled := v.settled(intent); v.now.Before(settled) {
			v.look(rota.StepDelete, intent.At, settled, "waiting before "+c.ID+" is taken for an orphan")
			return v.waits[len(v.waits)-1], true
		}
		if v.Traits.Replaces {
			return Decision{Step: rota.StepCreate, Due: intent.At, Reason: "the response with the value of " + c.ID + " was lost, and creating it ended the one in use, so consumers can't log in until the next one is in its place"}, true
		}
		orphan := rota.Version{CredentialID: c.ID}
		step := rota.StepDelete
		if c.Active && v.CanDeactivate {
			step = rota.StepDeactivate
		}
		if intent.Answer != "" {
			return v.do(step, orphan, intent.At, "%s is an orphan: the request that created %s arrived twice, and nobody has its value", c.ID, intent.Answer)
		}
		return v.do(step, orphan, intent.At, "%s is an orphan: Rota created it, but the response was lost", c.ID)
	}
	return Decision{}, false
}

// settled is when the issuer's list shows what an intent's call did.
func (v *view) settled(i Intent) time.Time { return i.Until.Add(v.Traits.ConsistencyDelay) }

// isLost reports whether the only credential is one that nobody can be given: its
// value was lost with a response, or the rotation that made it was called off.
func (v *view) isLost() bool {
	_, lost := v.lost()
	return lost
}

func (v *view) lost() (credentialID string, lost bool) {
	if !v.Traits.Replaces {
		return "", false
	}
	for _, c := range v.Issued {
		if i, ours := v.orphanOf(c); ours && !v.replacedSince(i) {
			return c.ID, true
		}
	}
	return v.calledOff()
}

// replacedSince reports whether a later creation has ended what an intent's call made. The
// issuer's list may go on showing that for a while.
func (v *view) replacedSince(lost Intent) bool {
	later := false
	for _, i := range v.Progress.Intents {
		if later && i.Answer != "" && v.Traits.Replaces {
			return true
		}
		later = later || i.Version == lost.Version
	}
	return false
}

// calledOff returns the only credential, if it's from a rotation that somebody called
// off by taking AWSPENDING away after the one in use was ended. Nobody has been given
// it.
func (v *view) calledOff() (credentialID string, is bool) {
	if !v.Traits.Replaces || !v.current.Ours() || !v.dead(v.current) {
		return "", false
	}
	for _, version := range v.Contents.Versions {
		c, _ := v.issued(version.CredentialID)
		promoted := !v.Progress.Versions[version.ID].PromotedAt.IsZero()
		if c.Active && version.Has(rota.LabelMade(version.ID)) && !promoted && !v.knows(c.ID) {
			return c.ID, true
		}
	}
	return "", false
}

// replaces returns the id of the credential that a new one takes the place of, ""
// if that's none.
func (v *view) replaces() string {
	if id, lost := v.lost(); lost {
		return id
	}
	if !v.Traits.Replaces {
		return ""
	}
	return v.current.CredentialID
}

// orphanOf returns the intent whose call made a credential that isn't in the store.
func (v *view) orphanOf(c rota.Issued) (Intent, bool) {
	if v.stored(c.ID) {
		return Intent{}, false
	}
	intent, ours := v.markedBy(c)
	if !ours && c.Use.Evidence == rota.EvidenceRecorded && c.Use.At.IsZero() {
		intent, ours = v.intentOf(c)
	}
	return intent, ours
}

// stored reports whether a version in the store holds the credential or might
// hold it. While any version's credential is unknown, nothing is an orphan.
func (v *view) stored(credentialID string) bool {
	for _, version := range v.Contents.Versions {
		if version.CredentialID == credentialID || version.CredentialID == "" && !version.Empty {
			return true
		}
	}
	return false
}

// markedBy returns the intent that a credential's own name says it's from. Nobody
// else knows the version's id, and nobody ever got the value. Once the store has the
// version, others may have read its id, so a credential that was used isn't taken for
// a second one.
func (v *view) markedBy(c rota.Issued) (Intent, bool) {
	for _, i := range v.Progress.Intents {
		if c.Mark != i.Version || slices.Contains(i.Known, c.ID) || c.ID == i.Answer || i.Answer != "" && !c.Use.At.IsZero() {
			continue
		}
		return i, true
	}
	return Intent{}, false
}

func (v *view) intentOf(c rota.Issued) (Intent, bool) {
	for _, i := range v.Progress.Intents {
		if i.Answer == "" && i.Covers(c) {
			return i, true
		}
	}
	return Intent{}, false
}
