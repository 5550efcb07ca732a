package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// hooks are the points where mutants are planted: around the planner and the
// systems, never inside the core itself.
type hooks struct {
	plan     planner
	keys     func(keyIssuer) rota.Issuer
	issuer   func(rota.Issuer) rota.Issuer
	only     func(tokenIssuer) rota.Issuer // of credentials that end the one before
	kept     func(tellingIssuer) rota.Issuer
	hashed   func(hashedIssuer) rota.Issuer
	store    func(rota.Store) rota.Store
	journal  func(rotation.Journal) rotation.Journal
	alert    func(rotation.Journal) rotation.Journal
	reloader func(rota.Reloader) rota.Reloader
	answer   func([]rota.Remedy) []rota.Remedy // the remedies of a failed command
	policy   func(rotation.Policy) rotation.Policy
}

type planner = func(rotation.State, rotation.Policy, time.Time) rotation.Decision

func (h *hooks) wrapKeys(i keyIssuer) rota.Issuer {
	if h.keys == nil {
		return i
	}
	return h.keys(i)
}

func (h *hooks) wrapOnly(i tokenIssuer) rota.Issuer {
	if h.only == nil {
		return i
	}
	return h.only(i)
}

func (h *hooks) wrapKept(i tellingIssuer) rota.Issuer {
	if h.kept == nil {
		return i
	}
	return h.kept(i)
}

func (h *hooks) wrapHashed(i hashedIssuer) rota.Issuer {
	if h.hashed == nil {
		return i
	}
	return h.hashed(i)
}

func (h *hooks) wrapIssuer(i rota.Issuer) rota.Issuer            { return wrap(h.issuer, i) }
func (h *hooks) wrapStore(s rota.Store) rota.Store               { return wrap(h.store, s) }
func (h *hooks) wrapJournal(j rotation.Journal) rotation.Journal { return wrap(h.journal, j) }
func (h *hooks) wrapAlert(j rotation.Journal) rotation.Journal   { return wrap(h.alert, j) }
func (h *hooks) wrapPolicy(p rotation.Policy) rotation.Policy    { return wrap(h.policy, p) }
func (h *hooks) wrapReloader(r rota.Reloader) rota.Reloader      { return wrap(h.reloader, r) }

// said returns the remedies of a failed command.
func (h *hooks) said(err error) []rota.Remedy { return wrap(h.answer, rota.RemediesOf(err)) }

func wrap[T any](f func(T) T, x T) T {
	if f == nil {
		return x
	}
	return f(x)
}

// Mutant is a bug that can be planted to prove that the rules catch it.
type Mutant struct {
	Name string
	Rule int // the rule that catches it
	What string

	plant func(*hooks)
}

// Mutants returns all mutants, by rule.
func Mutants() []Mutant {
	return slices.Concat(plannerMutants(), systemMutants(), kindMutants(), remedyMutants())
}

func findMutant(name string) (Mutant, bool) {
	i := slices.IndexFunc(Mutants(), func(m Mutant) bool { return m.Name == name })
	if i < 0 {
		return Mutant{}, false
	}
	return Mutants()[i], true
}

// believing plants a planner that sees a different state than the real one.
func believing(change func(st *rotation.State, p *rotation.Policy, now time.Time)) func(*hooks) {
	return func(h *hooks) {
		h.plan = func(st rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
			st.Progress.Versions = cloneVersions(st.Progress.Versions)
			st.Issued = slices.Clone(st.Issued)
			change(&st, &p, now)
			return rotation.Plan(st, p, now)
		}
	}
}

// deciding plants a planner that decides differently.
func deciding(change func(st rotation.State, d rotation.Decision) rotation.Decision) func(*hooks) {
	return func(h *hooks) {
		h.plan = func(st rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
			return change(st, rotation.Plan(st, p, now))
		}
	}
}

func cloneVersions(m map[string]rotation.VersionProgress) map[string]rotation.VersionProgress {
	out := make(map[string]rotation.VersionProgress, len(m))
	maps.Copy(out, m)
	return out
}

// note changes the recorded progress of the version with a label.
func note(st *rotation.State, l rota.Label, f func(*rotation.VersionProgress)) {
	if v, ok := rota.Find(st.Contents.Versions, l); ok {
		vp := st.Progress.Versions[v.ID]
		f(&vp)
		st.Progress.Versions[v.ID] = vp
	}
}

func plannerMutants() []Mutant {
	return []Mutant{
		{"delete before create", 4, "the current credential is switched off to make a place for the next",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				if current, ok := rota.Find(st.Contents.Versions, rota.LabelCurrent); ok && d.Step == rota.StepCreate && st.CanDeactivate {
					d.Step, d.Version, d.Credential = rota.StepDeactivate, current.ID, current.CredentialID
				}
				return d
			})},
		{"an end is only a warning", 1, "a credential that ends is rotated at the policy's own date",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				for i := range st.Issued {
					st.Issued[i].ExpiresAt = time.Time{}
				}
				for id, vp := range st.Progress.Versions {
					vp.EndsAt = time.Time{}
					st.Progress.Versions[id] = vp
				}
			})},
		{"no answer means unused", 4, "what the issuer cannot say about use is taken for no use",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				for i := range st.Issued {
					if st.Issued[i].Use.Evidence == rota.EvidenceUnknown {
						st.Issued[i].Use = rota.Use{Evidence: rota.EvidenceRecorded}
					}
				}
			})},
		{"promote without test", 4, "a new credential is promoted as soon as it is stored",
			believing(func(st *rotation.State, _ *rotation.Policy, now time.Time) {
				note(st, rota.LabelPending, func(vp *rotation.VersionProgress) { vp.TestedAt = now })
			})},
		{"no grace", 4, "the previous credential is deactivated at once where nobody was seen to use it",
			believing(func(_ *rotation.State, p *rotation.Policy, _ time.Time) {
				p.Retire, p.DeactivatePreviousAfter, p.UnusedFor = rotation.RetireAfterGrace, 0, time.Second
			})},
		{"delete while active", 4, "the previous credential is deleted without being deactivated first",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				if d.Step == rota.StepDeactivate && d.Version != "" {
					d.Step = rota.StepDelete
				}
				return d
			})},
		{"pretended deactivation", 4, "what the issuer can't deactivate counts as inactive all the same",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				previous, ok := rota.Find(st.Contents.Versions, rota.LabelPrevious)
				for i := range st.Issued {
					if ok && !st.CanDeactivate && st.Traits.Overlap() && st.Issued[i].ID == previous.CredentialID {
						st.Issued[i].Active = false
					}
				}
			})},
		{"deliver skipped", 15, "targets count as written to",
			believing(func(st *rotation.State, _ *rotation.Policy, now time.Time) {
				note(st, rota.LabelCurrent, func(vp *rotation.VersionProgress) {
					vp.Delivered = map[string]time.Time{}
					for _, t := range st.Targets {
						vp.Delivered[t] = now
					}
				})
			})},
		{"oldest key deleted", 3, "a full issuer is emptied of its oldest credential, whoever made it",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				if d.Hold != rotation.HoldNoFreeSlot || !st.Listed || len(st.Issued) == 0 {
					return d
				}
				oldest := slices.MinFunc(st.Issued, func(a, b rota.Issued) int {
					if inUse(st, a.ID) != inUse(st, b.ID) {
						if inUse(st, a.ID) {
							return 1
						}
						return -1
					}
					return a.CreatedAt.Compare(b.CreatedAt)
				})
				if inUse(st, oldest.ID) {
					return d
				}
				step := rota.StepDelete
				if oldest.Active {
					step = rota.StepDeactivate
				}
				return rotation.Decision{Step: step, Credential: oldest.ID, Reason: "make a place"}
			})},
		{"every stranger an orphan", 3, "orphans are recognised without the list of what was there before",
			believing(func(st *rotation.State, _ *rotation.Policy, now time.Time) {
				st.Progress.Intents = []rotation.Intent{{Version: "any", At: now.AddDate(-10, 0, 0), Until: now.Add(-st.Traits.ConsistencyDelay)}}
			})},
		{"foreign version overwritten", 3, "whatever is in the store is taken for Rota's own",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				st.Contents.Versions = slices.Clone(st.Contents.Versions)
				for i := range st.Contents.Versions {
					v := &st.Contents.Versions[i]
					v.Labels = append(slices.Clone(v.Labels), rota.LabelAdopted)
				}
			})},
		{"limit ignored", 5, "the planner does not see that the issuer is full",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) { st.Traits.Limit = 100 })},
		{"lost answers forgotten", 2, "what a lost answer left behind is not looked for",
			believing(func(st *rotation.State, _ *rotation.Policy, _ time.Time) {
				st.Progress.Intents = nil
			})},
		{"lost progress means rotate", 7, "a secret that nothing is remembered of is rotated again",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				current, ok := rota.Find(st.Contents.Versions, rota.LabelCurrent)
				vp := st.Progress.Versions[current.ID]
				if _, pending := rota.Find(st.Contents.Versions, rota.LabelPending); ok && !pending && d.Step == rota.StepNone &&
					d.Hold == rotation.HoldNone && (!st.Lists || st.Listed && len(st.Issued) < st.Traits.Limit) && vp.TestedAt.IsZero() && current.Ours() && !current.Has(rota.LabelAdopted) {
					return rotation.Decision{Step: rota.StepCreate, Reason: "nothing is remembered"}
				}
				return d
			})},
		{"two pending", 10, "a new credential is made while another one is on its way",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				if f := st.Progress.Failure; f != nil && d.Step == rota.StepSet {
					d.Step, d.Version = rota.StepCreate, ""
				}
				return d
			})},
		{"retry for ever", 9, "failures are not counted",
			believing(func(st *rotation.State, p *rotation.Policy, _ time.Time) { p.MaxAttempts = 1 << 30 })},
		{"a role in use overwritten", 1, "the first credential of a pair goes to a role that can log in", func(h *hooks) {
			h.keys = func(i keyIssuer) rota.Issuer { return careless{i} }
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				_, has := rota.Find(st.Contents.Versions, rota.LabelCurrent)
				switch {
				case !has || st.Traits.IssuerChooses || d.Hold != rotation.HoldNeverIssued && d.Hold != rotation.HoldNoFreeSlot:
				case st.Force != rota.StepCreate:
					d.Remedies = []rota.Remedy{{Action: rota.RemedyRotate, Secret: st.Secret}}
				case d.Next == rota.StepCreate && !hasCredential(st):
					return rotation.Decision{Step: rota.StepCreate, Reason: "the first credential"}
				}
				return d
			})(h)
		}},
		{"the end not seen", 1, "a credential that ends by itself is renewed as if it did not",
			believing(func(st *rotation.State, p *rotation.Policy, _ time.Time) {
				if st.Traits.Lifetime == 0 {
					return
				}
				st.Traits.Lifetime, p.RotateEvery = 0, 20*rota.Day
				st.Contents.Versions = slices.Clone(st.Contents.Versions)
				for i := range st.Contents.Versions {
					st.Contents.Versions[i].ExpiresAt = time.Time{}
				}
			})},
		{"dropped before its end", 4, "the previous credential is dropped before it has ended by itself",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				previous, ok := rota.Find(st.Contents.Versions, rota.LabelPrevious)
				if ok && st.Traits.Lifetime > 0 && d.Step == rota.StepNone && d.Hold == rotation.HoldNone {
					return rotation.Decision{Step: rota.StepDelete, Version: previous.ID, Credential: previous.CredentialID}
				}
				return d
			})},
		{"never gives up a pending one", 7, "a rejected credential stays on its way",
			deciding(func(st rotation.State, d rotation.Decision) rotation.Decision {
				pending, ok := rota.Find(st.Contents.Versions, rota.LabelPending)
				if ok && st.Progress.Versions[pending.ID].Rejected != "" {
					return rotation.Decision{Reason: "it may work one day"}
				}
				return d
			})},
	}
}

// hasCredential reports whether the current version says which credential it is.
func hasCredential(st rotation.State) bool {
	current, _ := rota.Find(st.Contents.Versions, rota.LabelCurrent)
	return current.CredentialID != "" && current.CredentialID != rota.NoCredential
}

// inUse reports whether the store has a version with the credential.
func inUse(st rotation.State, credentialID string) bool {
	return slices.ContainsFunc(st.Contents.Versions, func(v rota.Version) bool { return v.CredentialID == credentialID })
}
