package rotation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// The remedies of holds that have several ways out. Each one has to lead out by
// itself: following it must not end in a hold whose remedy leads back.

// remedy returns one of Rota's own actions on this secret.
func (v *view) remedy(a rota.RemedyAction, text string) rota.Remedy {
	return rota.Remedy{Action: a, Secret: v.Secret, Text: text}
}

// takenOver returns the remedies for a current credential that Rota didn't make.
// If the store's entry holds only part of it, a person has to provide it. A
// rotation in progress has to be given up first or, if nothing brings back the old
// one, finished.
func (v *view) takenOver() []rota.Remedy {
	switch {
	case v.undoes() && isOneWay(v.Traits):
		return []rota.Remedy{v.remedy(rota.RemedyRotate, "to finish the rotation that was under way"), v.remedy(rota.RemedyAdoptGiven, "with the one in force, to give that up")}
	case v.undoes():
		return []rota.Remedy{v.remedy(rota.RemedyRollBack, "to give up the one that was on its way")}
	}
	return []rota.Remedy{v.remedy(rota.RemedyAdopt, ""), v.remedy(rota.RemedyAdoptGiven, "where the entry does not hold all of it")}
}

// resumed returns the remedies for something quarantined: it's retried once a
// person confirms that the cause is fixed. If there are several causes, that's
// after the last one.
func resumed(secret string, causes []rota.Remedy) []rota.Remedy {
	if len(causes) == 0 {
		return []rota.Remedy{{Action: rota.RemedyResume, Secret: secret, Text: "once it's fixed"}}
	}
	requirements := rota.Requirements(causes)
	last := requirements[len(requirements)-1]
	for i, r := range last {
		if r.Action == rota.RemedyOutside || r.Action == rota.RemedyConfigure || r.Action == rota.RemedyCommand {
			last[i].Secret, last[i].Then = secret, rota.RemedyResume
		}
	}
	return rota.AllOf(requirements...)
}

// handedIn returns the remedy if the store doesn't hold the credential to adopt.
func handedIn(secret string) []rota.Remedy {
	return []rota.Remedy{{Action: rota.RemedyAdoptGiven, Secret: secret, Text: "with the one in use"}}
}

// FirstCredential returns the remedies for a secret whose store holds no current
// credential: have one made, or hand in the one in use.
func FirstCredential(secret string) []rota.Remedy {
	return append([]rota.Remedy{{Action: rota.RemedyRotate, Secret: secret}}, handedIn(secret)...)
}

// notInForce returns the remedies for a stored credential that isn't Rota's and
// that the issuer refuses: either another one is in use, or none is.
func (v *view) notInForce(credentialID string) []rota.Remedy {
	if v.Traits.Lifetime > 0 {
		return []rota.Remedy{v.remedy(rota.RemedyRotate, "to replace it")}
	}
	if v.Traits.Replaces {
		return v.anotherOne()
	}
	c, there := v.issued(credentialID)
	if !v.Lists || c.Active {
		return handedIn(v.Secret)
	}
	out := append(handedIn(v.Secret), v.insteadOfDead()...)
	switch {
	case c.Unlock != "" && !v.Traits.Overlap():
		return []rota.Remedy{unlock(c)}
	case c.Unlock != "":
		out = append([]rota.Remedy{unlock(c)}, out...)
	case there:
		out = append([]rota.Remedy{v.reactivate(credentialID)}, out...)
	}
	return out
}

// workingAgain returns the remedies for a current credential that the issuer
// refuses while the previous one still exists.
func workingAgain(secret string) []rota.Remedy {
	return []rota.Remedy{
		{Action: rota.RemedyRollBack, Secret: secret},
		{Action: rota.RemedyAdoptGiven, Secret: secret, Text: "with the one in force"},
	}
}

// rotateInstead returns the remedy if there's no credential to go back to.
func rotateInstead(secret string) []rota.Remedy {
	return []rota.Remedy{{Action: rota.RemedyRotate, Secret: secret, Text: "instead"}}
}

// refusedRollback returns the remedies if the credential to go back to is refused
// or gone. A new one needs its place.
func (v *view) refusedRollback() []rota.Remedy {
	var out []rota.Remedy
	if c, there := v.issued(v.current.CredentialID); there && !c.Active {
		r := v.reactivate(c.ID)
		r.Secret, r.Then = v.Secret, rota.RemedyAdopt // which ends the rollback: it would go on failing
		out = append(out, r)
	}
	if kept := v.retirable() && v.Traits.Lifetime == 0; !kept || v.spent() {
		out = append(out, v.replacing(v.room(kept), "instead")...)
	}
	return append(out, rota.Remedy{Action: rota.RemedyAdoptGiven, Secret: v.Secret, Text: "with the one in force"})
}

func (v *view) reactivate(credentialID string) rota.Remedy {
	return rota.Remedy{Action: rota.RemedyOutside, Verb: rota.VerbReactivate, Object: credentialID, Text: "reactivate it there"}
}

// unlock returns the remedy for an account that somebody locked.
func unlock(c rota.Issued) rota.Remedy {
	return rota.Remedy{Action: rota.RemedyOutside, Verb: rota.VerbReactivate, Object: c.ID, Text: c.Unlock + ", if it's meant to log in again"}
}

// keepOrReplace returns the remedies if someone set another credential than the one
// in the store, and there's no place for both. An issuer that needs the one in use
// can't replace one that nobody has handed in.
func keepOrReplace(secret string, traits rota.Traits) []rota.Remedy {
	keep := rota.Remedy{Action: rota.RemedyAdoptGiven, Secret: secret, Text: "to keep the one in force"}
	if (traits.FromCurrent || traits.Replaces) && !traits.Overlap() {
		return []rota.Remedy{keep}
	}
	return []rota.Remedy{keep, {Action: rota.RemedyRotate, Secret: secret, Text: "to replace it"}}
}

// refusedCurrent returns the remedies for a current credential that the issuer
// refuses. A new one needs the place of a previous one that's off.
func (v *view) refusedCurrent() []rota.Remedy {
	if v.Traits.Replaces {
		return v.anotherOne()
	}
	given := rota.Remedy{Action: rota.RemedyAdoptGiven, Secret: v.Secret, Text: "with the one in force"}
	return append(v.insteadOfDead(), given)
}

// unknownUse returns the remedies if the issuer doesn't say whether the previous
// credential is in use: enable it to, or deactivate the credential by hand.
func (v *view) unknownUse(u rota.Use) []rota.Remedy {
	id := v.previous.CredentialID
	if v.deletesActive() {
		return append(slices.Clone(u.Remedies), v.byHand()...)
	}
	return append(slices.Clone(u.Remedies),
		rota.Remedy{Action: rota.RemedyOutside, Verb: rota.VerbDeactivate, Object: id, Text: "deactivate " + id + " by hand when nobody uses it"})
}

// anotherOne returns the remedy where the next credential would have to be made from
// one that's dead.
func (v *view) anotherOne() []rota.Remedy {
	return []rota.Remedy{v.remedy(rota.RemedyAdoptGiven, "with the one in use, or with a new one made by hand")}
}

// insteadOfDead returns the ways to put another credential in the place of a current
// one that's dead, whether or not that one is Rota's: back to the previous one while
// that works, and otherwise a new one, for which one that nobody can use makes room.
func (v *view) insteadOfDead() []rota.Remedy {
	previous, there := v.issued(v.previous.CredentialID)
	maybe := !v.Listed || v.mayYetShow(v.previous) // nobody knows whether it's there
	works := previous.Active || v.mayYetShow(v.previous) || !v.Listed && !v.off()
	kept := v.Traits.Lifetime == 0 && v.retirable() && (there || maybe)
	switch {
	case kept && v.previous.Ours() && works:
		return []rota.Remedy{v.remedy(rota.RemedyRollBack, "to the previous one")}
	case kept && v.previous.Ours() && !v.spent():
		return []rota.Remedy{{Action: rota.RemedyDelete, Secret: v.Secret, Text: "for a place", Then: rota.RemedyRotate}}
	case kept && !v.previous.Ours() && v.isFull() && !works:
		return v.replacing(append(v.byHand(), v.strangers()...), "to replace it")
	}
	return v.replacing(v.room(kept), "to replace it")
}

// room returns the ways to free a place for a new credential, nil if there is one. A
// previous credential that nothing makes work again makes way unasked.
func (v *view) room(kept bool) []rota.Remedy {
	if v.isFull() && (!kept || !v.spent()) {
		return v.strangers()
	}
	return nil
}

// replacing returns the remedies that end with a new credential, after one of those that
// free a place for it.
func (v *view) replacing(room []rota.Remedy, text string) []rota.Remedy {
	if len(room) == 0 {
		return []rota.Remedy{v.remedy(rota.RemedyRotate, text)}
	}
	for i := range room {
		room[i].Secret, room[i].Then = v.Secret, rota.RemedyRotate
	}
	return room
}

// currentDead returns the remedies for a current credential that isn't active at
// the issuer. A new one needs a place, but none of these remedies takes an active
// credential's place, because consumers might still depend on it.
func (v *view) currentDead() []rota.Remedy {
	var out []rota.Remedy
	if v.Traits.Replaces {
		return v.anotherOne()
	}
	if c, locked := v.locked(); locked {
		out = append(out, unlock(c))
		if !v.Traits.Overlap() {
			return out
		}
	} else if _, there := v.issued(v.current.CredentialID); there {
		out = append(out, v.reactivate(v.current.CredentialID))
	}
	out = append(out, v.insteadOfDead()...)
	if len(out) == 1 && out[0].Action == rota.RemedyRotate { // it isn't the issuer's any more, and another one may be
		out = append(out, rota.Remedy{Action: rota.RemedyAdoptGiven, Secret: v.Secret, Text: "for the one in use"})
	}
	return out
}

// finishPending returns the remedy if somebody else's rotation is under way.
func (v *view) finishPending() []rota.Remedy {
	return []rota.Remedy{{Action: rota.RemedyOutside, Verb: rota.VerbUnlabel, Object: v.pending.ID, Text: "finish it, or take AWSPENDING off that version"}}
}

// refuseForeignPending is the error of a command that can't be carried out while
// somebody else's rotation is under way.
func (v *view) refuseForeignPending() error {
	return &rota.Error{Class: rota.ClassStop, Remedies: v.finishPending(), Err: fmt.Errorf("version %s is AWSPENDING and not Rota's", v.pending.ID)}
}

// names lists the issuer's names of the credentials, for people.
func names(issued []rota.Issued) string {
	ids := make([]string, len(issued))
	for i, c := range issued {
		ids[i] = c.ID
	}
	return strings.Join(ids, ", ")
}
