package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// keepVersions is how many versions a store keeps, as in Secrets Manager.
// Beyond that, the oldest versions without labels are dropped.
const keepVersions = 100

// Store keeps the versions of one secret with exactly the labels that
// [rota.Store] promises.
type Store struct {
	part
	versions  []*storedVersion // oldest first
	holders   map[rota.Label]*storedVersion
	changedAt time.Time
	before    rota.Contents // before the last write
}

type storedVersion struct {
	id         string
	credential rota.Credential // zero if the version has no value yet
	labels     []rota.Label
	createdAt  time.Time
}

// NewStore makes the store for a secret that doesn't exist yet.
func NewStore(o Options) *Store {
	s := &Store{holders: map[rota.Label]*storedVersion{}}
	s.init(o, "memory store")
	return s
}

// Describe lists the versions that have a label, oldest first.
func (s *Store) Describe(ctx context.Context) (rota.Contents, error) {
	var c rota.Contents
	err := s.do(ctx, "store.describe", func(f Fault) error {
		c = s.contents()
		if f.Stale {
			c = s.before
		}
		return nil
	})
	if err != nil {
		return rota.Contents{}, err
	}
	return c, nil
}

// contents returns a copy of the versions and labels. The caller holds the
// lock.
func (s *Store) contents() rota.Contents {
	c := rota.Contents{ChangedAt: s.changedAt}
	for _, v := range s.versions {
		if len(v.labels) > 0 {
			c.Versions = append(c.Versions, rota.Version{ID: v.id, Labels: slices.Clone(v.labels), CreatedAt: v.createdAt})
		}
	}
	return c
}

// Get reads one version.
func (s *Store) Get(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
	var c rota.Credential
	err := s.do(ctx, "store.get", func(f Fault) error {
		v := s.find(r.Version)
		if v != nil && f.Stale {
			if _, known := rota.FindID(s.before.Versions, r.Version); !known {
				v = nil
			}
		}
		if v == nil || v.credential.IsZero() {
			return &rota.Error{System: s.opts.System, Op: "get version " + r.Version, Class: rota.ClassStop, Err: rota.ErrNotFound}
		}
		c = v.credential
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return c, nil
}

// Put stores a version with these labels. If they include [rota.LabelCurrent],
// [rota.LabelPrevious] moves to the version that was current. If the version
// already exists with the same credential, its labels stay as they are: they
// could have moved on since, and a late retry must not move them back.
func (s *Store) Put(ctx context.Context, r rota.PutRequest) error {
	return s.do(ctx, "store.put", func(Fault) error {
		refuse := func(err error) error {
			return &rota.Error{System: s.opts.System, Op: "put version " + r.Version, Class: rota.ClassStop, Err: err}
		}
		if r.Version == "" || r.Credential.IsZero() {
			return refuse(fmt.Errorf("a version needs an id and a credential"))
		}
		v := s.find(r.Version)
		if v != nil && !v.credential.IsZero() {
			if !v.credential.Equal(r.Credential) {
				return refuse(fmt.Errorf("it exists with another credential: %w", rota.ErrConflict))
			}
			return nil
		}
		s.put(v, r.Version, r.Credential, r.Labels)
		return nil
	})
}

// put writes a version. v is the existing version, if it exists without a
// value. The caller holds the lock.
func (s *Store) put(v *storedVersion, id string, c rota.Credential, labels []rota.Label) {
	s.remember()
	if v == nil {
		v = &storedVersion{id: id, createdAt: s.opts.Now()}
		s.versions = append(s.versions, v)
	}
	v.credential = c
	for _, l := range labels {
		s.label(l, v)
	}
	s.changed(id)
}

// Move moves a label by compare-and-swap. [rota.LabelCurrent] can only be moved
// to a version with a value, and can't be removed.
func (s *Store) Move(ctx context.Context, r rota.MoveRequest) error {
	return s.do(ctx, "store.move", func(Fault) error {
		refuse := func(err error) error {
			return &rota.Error{System: s.opts.System, Class: rota.ClassStop, Err: err,
				Op: fmt.Sprintf("move %s from %q to %q", r.Label, r.From, r.To)}
		}
		holder := ""
		if v := s.holders[r.Label]; v != nil {
			holder = v.id
		}
		if holder == r.To {
			return nil
		}
		if holder != r.From {
			return refuse(fmt.Errorf("%q has it: %w", holder, rota.ErrConflict))
		}
		var to *storedVersion
		if r.To != "" {
			to = s.find(r.To)
			if to == nil || (r.Label == rota.LabelCurrent && to.credential.IsZero()) {
				return refuse(rota.ErrNotFound)
			}
		} else if r.Label == rota.LabelCurrent {
			return refuse(fmt.Errorf("a secret always has a current version: %w", rota.ErrConflict))
		}
		s.remember()
		s.label(r.Label, to)
		s.changed(string(r.Label) + "=" + r.To)
		return nil
	})
}

// remember saves the state before a write, for faults that ask for it.
func (s *Store) remember() {
	if s.opts.Faults != nil {
		s.before = s.contents()
	}
}

// label moves a label to a version, or removes it if the version is nil. The
// caller holds the lock.
func (s *Store) label(l rota.Label, to *storedVersion) {
	from := s.holders[l]
	if from == to {
		return
	}
	if from != nil {
		from.labels = slices.DeleteFunc(from.labels, func(x rota.Label) bool { return x == l })
	}
	delete(s.holders, l)
	if to != nil {
		to.labels = append(to.labels, l)
		s.holders[l] = to
	}
	if l == rota.LabelCurrent && from != nil {
		if s.holders[rota.LabelPending] == from {
			s.label(rota.LabelPending, nil)
		}
		s.label(rota.LabelPrevious, from)
	}
}

// changed completes a write: it records the effect, drops versions that are too
// old and checks the invariants. The caller holds the lock.
func (s *Store) changed(what string) {
	s.changedAt = s.opts.Now()
	s.made = append(s.made, what)
	if len(s.versions) > keepVersions {
		i := slices.IndexFunc(s.versions, func(v *storedVersion) bool { return len(v.labels) == 0 })
		if i >= 0 {
			s.versions = slices.Delete(s.versions, i, i+1)
		}
	}
	labels := 0
	for _, v := range s.versions {
		labels += len(v.labels)
	}
	if labels != len(s.holders) {
		s.broke(fmt.Errorf("%s: %d labels on versions, %d labels held", what, labels, len(s.holders)))
	}
	if v := s.holders[rota.LabelCurrent]; v != nil && v.credential.IsZero() {
		s.broke(fmt.Errorf("%s: the current version %s has no value", what, v.id))
	}
}

func (s *Store) find(id string) *storedVersion {
	for i := len(s.versions) - 1; i >= 0; i-- {
		if s.versions[i].id == id {
			return s.versions[i]
		}
	}
	return nil
}

// Plant adds a version as someone other than Rota would, without faults. A zero
// credential makes a version without a value, as Secrets Manager's own rotation
// does.
func (s *Store) Plant(id string, c rota.Credential, labels ...rota.Label) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.find(id), id, c, labels)
}

// Read returns what a consumer reads: the id and credential of the version with
// the label, without faults. It returns false if no version has the label.
func (s *Store) Read(l rota.Label) (string, rota.Credential, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.holders[l]
	if v == nil {
		return "", rota.Credential{}, false
	}
	return v.id, v.credential, true
}
