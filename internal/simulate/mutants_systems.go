package simulate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

func systemMutants() []Mutant {
	return []Mutant{
		{"no intent", 2, "a credential is made before an intent is durable", func(h *hooks) {
			h.journal = func(j rotation.Journal) rotation.Journal { return noIntents{j} }
		}},
		{"set before it is stored", 2, "a new password is set when another one was stored", func(h *hooks) {
			h.issuer = func(i rota.Issuer) rota.Issuer { return hasty{i} }
		}},
		{"fence ignored", 6, "a worker that lost its lease goes on", func(h *hooks) {
			h.journal = func(j rotation.Journal) rotation.Journal { return fearless{j} }
		}},
		{"no deadline", 8, "the issuer's list is asked for without a deadline", func(h *hooks) {
			h.keys = func(i keyIssuer) rota.Issuer { return patient{i} }
		}},
		{"a role that's gone stays taken", 5, "a role that the store has ever held gets no new password", func(h *hooks) {
			h.keys = func(i keyIssuer) rota.Issuer { return &hoarding{keyIssuer: i} }
		}},
		{"torn value", 10, "the store takes half of a credential, and lets readers see it", func(h *hooks) {
			h.store = func(s rota.Store) rota.Store { return torn{s} }
		}},
		{"value in the audit", 11, "the audit tells what was stored", func(h *hooks) {
			var last rota.Credential
			h.store = func(s rota.Store) rota.Store { return remembering{s, &last} }
			h.journal = func(j rotation.Journal) rotation.Journal { return talkative{j, &last} }
		}},
		{"effect without audit", 12, "what is begun is not written down", func(h *hooks) {
			h.journal = func(j rotation.Journal) rotation.Journal { return silent{j} }
		}},
		{"drift not noticed", 13, "the current credential counts as in force", func(h *hooks) {
			h.plan = func(st rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
				st.Told, st.Drifted = true, false
				return rotation.Plan(st, p, now)
			}
		}},
		{"nobody alerted", 13, "what is late counts as looked at just now", func(h *hooks) {
			h.alert = func(j rotation.Journal) rotation.Journal { return rosy{j} }
		}},
		{"reload not waited for", 4, "a reload counts as done as soon as it was asked for", func(h *hooks) {
			h.reloader = func(r rota.Reloader) rota.Reloader { return impatient{r} }
		}},
	}
}

type noIntents struct{ rotation.Journal }

func (j noIntents) Save(ctx context.Context, r rotation.SaveRequest) error {
	r.Progress.Intents = nil
	return j.Journal.Save(ctx, r)
}

type hasty struct{ rota.Issuer }

// Set chooses its own value.
func (i hasty) Set(ctx context.Context, r rota.SetRequest) error {
	fields := r.Credential.Fields()
	fields[rota.FieldPassword] += "!"
	return i.Issuer.Set(ctx, rota.SetRequest{Credential: rota.NewCredential(fields)})
}

type fearless struct{ rotation.Journal }

func (j fearless) Save(ctx context.Context, r rotation.SaveRequest) error {
	if err := j.Journal.Save(ctx, r); err != nil && !errors.Is(err, rota.ErrFenced) {
		return err
	}
	return nil
}

type patient struct{ keyIssuer }

func (i patient) List(ctx context.Context) ([]rota.Issued, error) {
	return i.keyIssuer.List(context.WithoutCancel(ctx))
}

type hoarding struct {
	keyIssuer
	taken []string
}

func (i *hoarding) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	i.taken = append(i.taken, r.Taken...)
	return i.keyIssuer.Create(ctx, rota.CreateRequest{Taken: i.taken})
}

type careless struct{ keyIssuer }

// Create takes any role if none is free.
func (i careless) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	c, err := i.keyIssuer.Create(ctx, r)
	if err != nil && ctx.Err() == nil {
		return i.keyIssuer.Create(ctx, rota.CreateRequest{})
	}
	return c, err
}

type torn struct{ rota.Store }

// Put stores half of its input, which a reader of AWSPENDING sees.
func (s torn) Put(ctx context.Context, r rota.PutRequest) error {
	fields := r.Credential.Fields()
	delete(fields, rota.FieldSecretAccessKey)
	r.Credential, r.Labels = rota.NewCredential(fields), []rota.Label{rota.LabelPending, rota.LabelCurrent}
	return s.Store.Put(ctx, r)
}

type remembering struct {
	rota.Store
	last *rota.Credential
}

func (s remembering) Put(ctx context.Context, r rota.PutRequest) error {
	*s.last = r.Credential
	return s.Store.Put(ctx, r)
}

type talkative struct {
	rotation.Journal
	last *rota.Credential
}

func (j talkative) Save(ctx context.Context, r rotation.SaveRequest) error {
	r.Entries = slices.Clone(r.Entries)
	for i := range r.Entries {
		r.Entries[i].Detail += proof(*j.last)
	}
	return j.Journal.Save(ctx, r)
}

type silent struct{ rotation.Journal }

func (j silent) Save(ctx context.Context, r rotation.SaveRequest) error {
	r.Entries = slices.DeleteFunc(slices.Clone(r.Entries), func(e rotation.Entry) bool { return e.Outcome == rotation.OutcomeBegun })
	return j.Journal.Save(ctx, r)
}

type rosy struct{ rotation.Journal }

func (j rosy) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	snapshot, err := j.Journal.Load(ctx, secret, peers...)
	if status := &snapshot.Progress.Status; !status.LookedAt.IsZero() {
		status.DueAt, status.RotateAt = time.Time{}, time.Time{}
	}
	return snapshot, err
}

type impatient struct{ rota.Reloader }

func (r impatient) Reload(context.Context, rota.ReloadRequest) error { return nil }
