package simulate

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// kindMutants are bugs in what the planner knows about an issuer's traits.
func kindMutants() []Mutant {
	return []Mutant{
		{"a stranger's token replaced", 3, "where the current one is gone, the next one is made from whichever there is", func(h *hooks) {
			h.only = func(i tokenIssuer) rota.Issuer { return grabbing{i} }
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				if st.Traits.Replaces && d.Hold == rotation.HoldNotAtIssuer && len(st.Issued) > 0 {
					return rotation.Decision{Step: rota.StepCreate, Reason: "the current one is gone"}
				}
				return d
			})(h)
		}},
		{"a lost token left alone", 2, "a lost answer that ended the one in use is left to a person",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				if st.Traits.Replaces && d.Step == rota.StepCreate && len(st.Progress.Intents) > 0 {
					return rotation.Decision{Reason: "somebody will see to it"}
				}
				return d
			})},
		{"a dead credential stays", 1, "where there's no overlap, the new credential isn't promoted at once",
			func(h *hooks) {
				h.plan = func(st rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
					d := rotation.Plan(st, p, now)
					pending, ok := rota.Find(st.Contents.Versions, rota.LabelPending)
					if later := pending.CreatedAt.Add(3 * time.Hour); ok && !st.Traits.Overlap() && d.Step == rota.StepPromote && now.Before(later) {
						return rotation.Decision{Next: d.Step, Due: d.Due, At: later, Reason: "no hurry"}
					}
					return d
				}
			}},
		{"a shown value held", 13, "what was replaced outside is held, though the issuer shows it",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) { st.Traits.Readable = false })},
		{"a shown value made again", 3, "what was replaced outside is replaced by another one", func(h *hooks) {
			h.kept = func(i tellingIssuer) rota.Issuer { return overwriting{i} }
		}},
		{"nothing is renewed", 1, "leases are left to end, and then replaced",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) { st.Traits.Renewable = false })},
		{"a lease left to end", 1, "the previous lease isn't renewed while consumers may have it",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				previous, _ := rota.Find(st.Contents.Versions, rota.LabelPrevious)
				vp := st.Progress.Versions[previous.ID]
				vp.Renewed.Last = true
				st.Progress.Versions[previous.ID] = vp
			})},
		{"a restart forgets the names", 15, "names that another process knew are taken for strangers'", func(h *hooks) {
			h.hashed = func(i hashedIssuer) rota.Issuer { return trusting{i} }
		}},
		{"sessions are the other's", 4, "sessions that may be of either password are taken for the current one's",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				for i := range st.Issued {
					if u := &st.Issued[i].Use; u.Ambiguous {
						*u = rota.Use{Evidence: rota.EvidenceRecorded}
					}
				}
			})},
	}
}

type grabbing struct{ tokenIssuer }

func (i grabbing) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if list, err := i.List(ctx); err == nil && len(list) > 0 {
		r.Replaces = list[0].ID
	}
	return i.tokenIssuer.Create(ctx, r)
}

type overwriting struct{ tellingIssuer }

func (i overwriting) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	r.Anew = true
	return i.tellingIssuer.Create(ctx, r)
}

type trusting struct{ hashedIssuer }

// Traits has the planner believe that the list names what it named before.
func (i trusting) Traits() rota.Traits {
	t := i.hashedIssuer.Traits()
	t.ListsByValue = false
	return t
}
