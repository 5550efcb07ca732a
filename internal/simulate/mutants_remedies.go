package simulate

import (
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// remedyMutants are dead ends: holds that an obedient operator can't get out
// of, or that cost someone a login.
func remedyMutants() []Mutant {
	return []Mutant{
		{"a hold without a remedy", 15, "where the current credential is dead, nothing is named",
			naming(rotation.HoldNotAtIssuer, func(rotation.State, []rota.Remedy) []rota.Remedy { return nil })},
		{"a remedy in a circle", 15, "what is not Rota's is to be looked at again",
			naming(rotation.HoldNotAdopted, func(st rotation.State, _ []rota.Remedy) []rota.Remedy {
				return []rota.Remedy{{Action: rota.RemedyRun, Secret: st.Secret}}
			})},
		{"a remedy in words", 15, "what to delete for a place is said in a text alone",
			naming(rotation.HoldNoFreeSlot, func(_ rotation.State, remedies []rota.Remedy) []rota.Remedy {
				return rota.Outside(rota.Hint(remedies))
			})},
		{"the key in use to be deleted", 15, "where there is no place, the current credential is to go",
			naming(rotation.HoldNoFreeSlot, func(st rotation.State, _ []rota.Remedy) []rota.Remedy {
				current, _ := rota.Find(st.Contents.Versions, rota.LabelCurrent)
				return []rota.Remedy{{Action: rota.RemedyOutside, Verb: rota.VerbDelete, Object: current.CredentialID}}
			})},
		{"both inactive, none may go", 15, "a previous credential is not deleted while the current one is dead",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				current, _ := rota.Find(st.Contents.Versions, rota.LabelCurrent)
				if st.Force != rota.StepDelete || d.Step != rota.StepDelete || !st.Listed || isActive(st, current.CredentialID) {
					return d
				}
				st.Force = rota.StepNone
				return rotation.Plan(st, rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: rota.Day, DeletePreviousAfter: 2 * rota.Day}, current.CreatedAt.AddDate(100, 0, 0))
			})},
		{"both gone, the version stays", 15, "the version of a previous credential that is gone stands in the way of the next",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				previous, ok := rota.Find(st.Contents.Versions, rota.LabelPrevious)
				if st.Force != rota.StepCreate || d.Step != rota.StepDelete || !ok || d.Version != previous.ID || isListed(st, d.Credential) {
					return d
				}
				return rotation.Decision{Hold: rotation.HoldNoFreeSlot, Next: rota.StepCreate, At: st.Contents.ChangedAt, Reason: "hold: the previous credential is not yet retired",
					Remedies: []rota.Remedy{{Action: rota.RemedyWait, Secret: st.Secret}, {Action: rota.RemedyDeactivate, Secret: st.Secret}}}
			})},
		{"both roles log in, one is only switched off", 15, "a role that takes the place is to be deactivated, and keeps its password",
			naming(rotation.HoldNoFreeSlot, func(st rotation.State, remedies []rota.Remedy) []rota.Remedy {
				remedies = slices.Clone(remedies)
				for i := range remedies {
					if remedies[i].Verb == rota.VerbDelete && !st.Traits.IssuerChooses {
						remedies[i].Verb = rota.VerbDeactivate
					}
				}
				return remedies
			})},
		{"failures hidden until the window opens", 7, "outside the window, a failed step only waits for it", func(h *hooks) {
			h.policy = rarelyOpen
			h.plan = func(st rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
				d := rotation.Plan(st, p, now)
				if open := p.Window.Open(now); open.After(now) && (d.Hold == rotation.HoldRetrying || d.Hold == rotation.HoldQuarantined) {
					return rotation.Decision{Next: d.Next, Due: d.Due, At: open, Reason: "waiting for the window"}
				}
				return d
			}
		}},
		{"half a key, adopted again", 15, "an adoption that fails names nothing but to adopt again", func(h *hooks) {
			h.answer = func(remedies []rota.Remedy) []rota.Remedy {
				return slices.DeleteFunc(slices.Clone(remedies), func(r rota.Remedy) bool { return r.Action == rota.RemedyAdoptGiven })
			}
		}},
	}
}

// rarelyOpen gives every secret a window of two hours, twice a week.
func rarelyOpen(p rotation.Policy) rotation.Policy {
	if w, err := rotation.ParseWindow("0 22 * * SAT,TUE", 2*time.Hour, ""); err == nil {
		p.Window = w
	}
	return p
}

// naming plants a planner that names different remedies for one kind of hold.
func naming(kind rotation.HoldKind, change func(rotation.State, []rota.Remedy) []rota.Remedy) func(*hooks) {
	return deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
		if d.Hold == kind {
			d.Remedies = change(st, d.Remedies)
		}
		return d
	})
}

func isActive(st rotation.State, credentialID string) bool {
	return slices.ContainsFunc(st.Issued, func(i rota.Issued) bool { return i.ID == credentialID && i.Active })
}

func isListed(st rotation.State, credentialID string) bool {
	return slices.ContainsFunc(st.Issued, func(i rota.Issued) bool { return i.ID == credentialID })
}
