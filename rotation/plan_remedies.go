package rotation

import (
	"strings"

	"github.com/rota-dev/rota"
)

// The remedies of the holds that have several ways out. Each has to lead on by
// itself: what is offered must not end in a hold that offers what led there.

// remedy is one of Rota's own actions on this secret.
func (v *view) remedy(a rota.RemedyAction, text string) rota.Remedy {
	return rota.Remedy{Action: a, Secret: v.Secret, Text: text}
}

// takenOver are the remedies for a current credential that Rota did not make.
// Where the entry holds only half of it, it has to be handed in.
func (v *view) takenOver() []rota.Remedy {
	return []rota.Remedy{v.remedy(rota.RemedyAdopt, ""), v.remedy(rota.RemedyAdoptGiven, "where the entry does not hold all of it")}
}

// currentDead are the remedies for a current credential that is not active at
// the issuer. A new one needs a place, which an active one never gives up here:
// it may be what consumers still live on.
func (v *view) currentDead() []rota.Remedy {
	var out []rota.Remedy
	if _, there := v.issued(v.current.CredentialID); there {
		out = append(out, rota.Remedy{Action: rota.RemedyOutside, Verb: rota.VerbReactivate, Object: v.current.CredentialID, Text: "reactivate it there"})
	}
	previous, there := v.issued(v.previous.CredentialID)
	switch kept := v.hasPrevious && v.previous.Ours() && there && v.retirable(); {
	case kept && previous.Active:
		return append(out, v.remedy(rota.RemedyRollBack, ""))
	case kept:
		return append(out, v.remedy(rota.RemedyDelete, "for a place, and rotate then"))
	case v.isFull():
		return append(out, v.strangers()...)
	}
	return append(out, v.remedy(rota.RemedyRotate, ""))
}

// isFull tells that the issuer has no place for another credential.
func (v *view) isFull() bool { return v.Lists && v.Traits.Limit > 1 && len(v.Issued) >= v.Traits.Limit }

// strangers are the remedies where credentials that Rota knows nothing of take
// all places: to switch off or delete one of them, an inactive one first.
func (v *view) strangers() []rota.Remedy {
	verb, text := rota.VerbDelete, "delete "
	if !v.Traits.IssuerChooses { // the names stay, as those of database roles do
		verb, text = rota.VerbDeactivate, "take the password and the login off "
	}
	var idle, active []rota.Remedy
	for _, c := range v.Issued {
		r := rota.Remedy{Action: rota.RemedyOutside, Verb: verb, Object: c.ID, Text: text + c.ID + " if nobody uses it"}
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

// knows tells that a version of the store holds the credential, or that it is
// about to.
func (v *view) knows(credentialID string) bool {
	for _, version := range v.Contents.Versions {
		if version.CredentialID == credentialID && len(version.Labels) > 0 {
			return true
		}
	}
	return false
}

// makeRoom are the remedies where the previous credential takes the place of the
// next.
func (v *view) makeRoom() []rota.Remedy {
	wait := rota.Remedy{Action: rota.RemedyWait, Secret: v.Secret, Text: "wait for its grace"}
	if v.off() {
		return []rota.Remedy{wait, v.remedy(rota.RemedyDelete, "")}
	}
	return []rota.Remedy{wait, v.remedy(rota.RemedyDeactivate, "and delete it then")}
}

// gone tells that the previous credential is not at the issuer any more, so that
// its version only stands in the way of the next.
func (v *view) gone() bool {
	_, there := v.issued(v.previous.CredentialID)
	return v.Listed && !there && v.Traits.IssuerChooses && v.previous.Ours() && !v.now.Before(v.consistentAt())
}

// names are the issuer's names of credentials, for people.
func names(issued []rota.Issued) string {
	ids := make([]string, len(issued))
	for i, c := range issued {
		ids[i] = c.ID
	}
	return strings.Join(ids, ", ")
}
