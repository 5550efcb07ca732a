package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// maxWrites is how many durable writes a rotation can make in Rota's own store.
const maxWrites = 6

// counted counts the durable writes to a store that commits with the journal.
type counted struct {
	store.Journal
	writes []string
}

func (c *counted) Acquire(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	c.writes = append(c.writes, "acquire")
	return c.Journal.Acquire(ctx, r)
}

func (c *counted) Release(ctx context.Context, l rotation.Lease) error {
	c.writes = append(c.writes, "release")
	return c.Journal.Release(ctx, l)
}

func (c *counted) Save(ctx context.Context, r rotation.SaveRequest) error {
	c.saved(r)
	return c.Journal.Save(ctx, r)
}

func (c *counted) Commit(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (rota.Contents, error) {
	c.saved(r)
	return c.Journal.Commit(ctx, r, changes)
}

func (c *counted) saved(r rotation.SaveRequest) {
	what := "save"
	for _, e := range r.Entries {
		what += " " + e.Step + ":" + string(e.Outcome)
	}
	c.writes = append(c.writes, what)
}

func (c *counted) KeepsStore(secret string, s rota.Store) bool {
	if w, ok := s.(*countedStore); ok {
		s = w.Store
	}
	return c.Journal.KeepsStore(secret, s)
}

type countedStore struct {
	rota.Store
	c *counted
}

func (s *countedStore) Put(ctx context.Context, r rota.PutRequest) error {
	s.c.writes = append(s.c.writes, "put")
	return s.Store.Put(ctx, r)
}

func (s *countedStore) Move(ctx context.Context, r rota.MoveRequest) error {
	s.c.writes = append(s.c.writes, "move")
	return s.Store.Move(ctx, r)
}

func TestARotationMakesFewDurableWrites(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	options := memory.Options{Now: clock}
	for name, of := range map[string]struct {
		issuer  rota.Issuer
		targets []rota.Target
	}{
		"a password":                 {memory.NewPassword("app", memory.RolesOptions{Options: options}), nil},
		"a password with a target":   {memory.NewPassword("app", memory.RolesOptions{Options: options}), []rota.Target{memory.NewTarget("file", options)}},
		"a pair of roles":            {memory.NewAlternating("a", "b", memory.RolesOptions{Options: options}), nil},
		"an access key":              {memory.NewAccessKeys(memory.AccessKeysOptions{Options: options}), nil},
		"an access key for a target": {memory.NewAccessKeys(memory.AccessKeysOptions{Options: options}), []rota.Target{memory.NewTarget("file", options)}},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "state"), Now: clock})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			journal := &counted{Journal: db.Journal()}
			s := &rotation.Secret{
				Name: "prod/app", Issuer: of.issuer, Targets: of.targets, Store: &countedStore{db.Secret("prod/app"), journal},
				Policy: rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day},
			}
			r := &rotation.Rotator{Journal: journal, Now: clock, Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }}
			for range 2 {
				journal.writes = nil
				result, err := r.Advance(t.Context(), s, rotation.Options{Force: rota.StepCreate})
				if err != nil {
					t.Fatal(err)
				}
				if current, ok := rota.Find(contents(t, s.Store).Versions, rota.LabelServed); !ok || !current.Has(rota.LabelCurrent) {
					t.Fatalf("it is not served: %s", result.Last.Reason)
				}
				if len(journal.writes) > maxWrites {
					t.Errorf("%d durable writes, want %d at most: %q", len(journal.writes), maxWrites, journal.writes)
				}
				now = now.Add(21 * rota.Day) // and retire the previous one
				for range 2 {
					if _, err := r.Advance(t.Context(), s, rotation.Options{}); err != nil {
						t.Fatal(err)
					}
					now = now.Add(21 * rota.Day)
				}
			}
		})
	}
}

// slowIssuer takes more than half a lease's time to make a credential.
type slowIssuer struct {
	rota.Issuer
	now *time.Time
}

func (s slowIssuer) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	*s.now = s.now.Add(70 * time.Second)
	return s.Issuer.Create(ctx, r)
}

// early finds saves that call a new credential stored and don't store it.
type early struct {
	store.Journal
	found []rotation.Entry
}

func (e *early) Save(ctx context.Context, r rotation.SaveRequest) error {
	for _, entry := range r.Entries {
		if entry.Step == string(rota.StepCreate) && entry.Outcome == rotation.OutcomeSucceeded {
			e.found = append(e.found, entry)
		}
	}
	return e.Journal.Save(ctx, r)
}

func TestASuccessIsNotWrittenAheadOfItsChange(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "state"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	journal := &early{Journal: db.Journal()}
	issuer := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: clock}})
	s := &rotation.Secret{Name: "prod/app", Issuer: slowIssuer{issuer, &now}, Store: db.Secret("prod/app"), Policy: rotation.Policy{RotateEvery: 90 * rota.Day}}
	r := &rotation.Rotator{Journal: journal, Now: clock, Sleep: func(context.Context, time.Duration) error { return nil }}
	if _, err := r.Advance(t.Context(), s, rotation.Options{Force: rota.StepCreate}); err != nil {
		t.Fatal(err)
	}
	if len(journal.found) > 0 {
		t.Errorf("a success was durable before what it is about: %+v", journal.found)
	}
}

func contents(t *testing.T, s rota.Store) rota.Contents {
	t.Helper()
	c, err := s.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
