package rotation

import (
	"slices"

	"github.com/rota-dev/rota"
)

// isFull reports whether the issuer has no place for another credential.
func (v *view) isFull() bool { return v.Traits.Limit > 1 && len(v.Issued) >= v.Traits.Limit }

// strangers returns the remedies if credentials that Rota doesn't know take all
// places: free one of them, starting with the inactive ones.
func (v *view) strangers() []rota.Remedy {
	text := "delete "
	if !v.Traits.IssuerChooses { // the names stay, as with database roles
		text = "take the password and the login off "
	}
	var idle, active []rota.Remedy
	for _, c := range v.Issued {
		r := rota.Remedy{Action: rota.RemedyOutside, Verb: rota.VerbDelete, Object: c.ID, Text: text + c.ID + " if nobody uses it"}
		switch known := v.knows(c.ID); {
		case known:
		case c.Active:
			active = append(active, r)
		default:
			idle = append(idle, r)
		}
	}
	return append(idle, active...)
}

// knows reports whether a current, pending or previous version holds the
// credential. A version that only has a milestone label left was displaced by
// someone else, and Rota won't retire it.
func (v *view) knows(credentialID string) bool {
	return slices.ContainsFunc(v.Contents.Versions, func(version rota.Version) bool {
		return version.CredentialID == credentialID && (version.Has(rota.LabelCurrent) || version.Has(rota.LabelPending) || version.Has(rota.LabelPrevious))
	})
}

// makeRoom returns the remedies if the previous credential takes the next one's
// place.
func (v *view) makeRoom() []rota.Remedy {
	if !v.previous.Ours() {
		return v.takenOverToo()
	}
	if f := v.Progress.stepFailure(); f != nil && (f.Step == rota.StepDeactivate || f.Step == rota.StepDelete) {
		switch { // don't suggest waiting for a step that keeps failing
		case f.Attempts >= v.policy.MaxAttempts:
			return resumed(v.Secret, f.Remedies)
		case len(f.Remedies) > 0:
			return f.Remedies
		}
	}
	wait := rota.Remedy{Action: rota.RemedyWait, Secret: v.Secret, Text: "wait for its grace"}
	if v.off() || v.deletesActive() {
		return []rota.Remedy{wait, v.remedy(rota.RemedyDelete, "")}
	}
	return []rota.Remedy{wait, {Action: rota.RemedyDeactivate, Secret: v.Secret, Then: rota.RemedyDelete}}
}

// makeRoomForNext returns the remedies if the previous credential takes the place
// of one that's asked for. If the current one is dead or consumers don't have it,
// the previous one may be all that works for them.
func (v *view) makeRoomForNext() []rota.Remedy {
	switch {
	case !v.previous.Ours():
		return v.makeRoom()
	case v.dead(v.current):
		return v.currentDead()
	case v.Progress.Versions[v.current.ID].ServedAt.IsZero() && !v.off():
		return []rota.Remedy{v.remedy(rota.RemedyRollBack, "to the previous one, which consumers may still have")}
	}
	return v.makeRoom()
}

// takenOverToo returns the remedies for a previous credential that isn't Rota's: it
// can be taken over, or retired by hand.
func (v *view) takenOverToo() []rota.Remedy {
	if !v.adoptsPrevious() {
		return v.byHand()
	}
	return append([]rota.Remedy{v.remedy(rota.RemedyAdopt, "to take it over too")}, v.byHand()...)
}

// byHand returns the remedy for a previous credential that only a person can
// retire.
func (v *view) byHand() []rota.Remedy {
	return []rota.Remedy{{Action: rota.RemedyOutside, Verb: rota.VerbDelete, Object: v.previous.CredentialID, Text: "delete it by hand when nobody uses it"}}
}

// gone reports whether the previous credential no longer exists at the issuer, so
// that its version only blocks the next one.
func (v *view) gone() bool {
	_, there := v.issued(v.previous.CredentialID)
	return v.Listed && !there && !v.mayYetShow(v.previous) && !v.now.Before(v.consistentAt())
}

// spent reports whether nothing can make the previous credential work again: it's
// gone, or it's inactive at an issuer that can't reactivate it.
func (v *view) spent() bool {
	return v.gone() || v.deletesActive() && v.previous.Ours() && v.dead(v.previous)
}
