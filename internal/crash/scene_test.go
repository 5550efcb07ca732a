package crash

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/rotation"
)

// fixture is one provider's part of a life: an issuer for a fresh account, and
// what can be seen of its system without the provider.
type fixture struct {
	// connect connects to the system, as a new process does, and fills in the
	// issuer and whatever else of the secret is the provider's. The calls are those
	// of [process.issuer], or those of a
	// server that [world.before] or [world.proxy] puts before the system.
	connect func(p *process, s *rotation.Secret) error
	traits  rota.Traits
	// marks says that the system shows which version a credential was made for, so
	// that one of unknown origin is recognized.
	marks bool
	// id names a credential as exists does.
	id func(rota.Credential) string
	// works reports whether the system accepts a credential. It's asked after each
	// effect, so it looks into the system rather than log in, where it can.
	works func(rota.Credential) (bool, error)
	// logIn is a real login, for when nothing is in flight; nil if works is one.
	logIn func(rota.Credential) error
	// exists are the account's credentials, whoever made them, and whether each is
	// active.
	exists func() (map[string]bool, error)
	// intact returns what was done to others' things, or against the system's rules;
	// nil if there's nothing to look at.
	intact func() error
	close  func()
}

// keeper is a secret's store, and the data folder.
type keeper interface {
	// store is the store, as a new process has it after the fixture has connected.
	store(p *process) (rota.Store, error)
	// journal is the data folder's, reopened.
	journal() (rotation.Journal, error)
	// holds is what's in the store. It's an error if something else in there was
	// touched.
	holds() (held, error)
	// lose loses the data folder.
	lose()
	// verify recomputes the audit's chain.
	verify() error
	close()
}

// held are the versions with a label.
type held struct {
	labels   map[rota.Label]string // the version that each is on
	versions map[string]rota.Credential
	foreign  map[string]bool // versions that Rota neither made nor adopted
}

func (h held) at(l rota.Label) rota.Credential { return h.versions[h.labels[l]] }

// scene is the outside world of one life: an account and a store, a file that
// gets the credential, and consumers that read the file when told to. What must
// be true of it is the same for every provider.
type scene struct {
	fixture
	keeper
	w         *world
	dir       string
	consumers consumers
}

// newScene makes the scene but for what differs by provider and store.
func newScene(t testing.TB, w *world) *scene {
	dir, err := os.MkdirTemp(memoryDisk(), "rota-crash-")
	if err != nil {
		t.Fatal(err)
	}
	return &scene{w: w, dir: dir, consumers: consumers{clock: w.clock, path: filepath.Join(dir, "app.json")}}
}

// inOwnStore is a life's scene whose store is Rota's own.
func inOwnStore(provider func(testing.TB, *scene) fixture) func(testing.TB, *world) *scene {
	return func(t testing.TB, w *world) *scene {
		s := newScene(t, w)
		s.keeper = newOwnStore(w, s.dir)
		s.fixture = provider(t, s)
		return s
	}
}

// secret reconnects to the systems, as a new process does.
func (s *scene) secret(p *process) (*rotation.Secret, error) {
	target, err := file.New(file.Config{Path: s.consumers.path, Format: file.JSON})
	if err != nil {
		return nil, err
	}
	secret := &rotation.Secret{
		Name: secretName, Policy: policy,
		Targets:   []rota.Target{&wrappedTarget{p, target}},
		Reloaders: []rota.Reloader{&reloader{p, s.consumers.reload}},
	}
	if err := s.connect(p, secret); err != nil {
		return nil, err
	}
	secret.Store, err = s.store(p)
	return secret, err
}

// instant is what must be true after every single call.
func (s *scene) instant() error {
	store, err := s.holds()
	if err != nil {
		return fmt.Errorf("the store can't be read: %w", err)
	}
	target, err := s.consumers.file()
	if err != nil {
		return fmt.Errorf("the target can't be read: %w", err)
	}
	served, late, gap := s.consumers.holds(s.traits.Overlap())
	works := map[string]bool{}
	for _, place := range []struct {
		name string
		c    rota.Credential
		must bool
	}{
		{"AWSCURRENT", store.at(rota.LabelCurrent), true}, {"the target", target, true},
		{"consumers", served, true}, {"late consumers, before their grace is over,", late, true},
		{"AWSPENDING", store.at(rota.LabelPending), false}, {"AWSPREVIOUS", store.at(rota.LabelPrevious), false},
	} {
		if place.c.IsZero() {
			continue
		}
		if works[place.name], err = s.works(place.c); err != nil {
			return err
		}
		if place.must && !gap && !works[place.name] {
			return fmt.Errorf("%s hold %s, which cannot log in", place.name, s.name(place.c))
		}
	}
	if !served.IsZero() && !works["AWSCURRENT"] && !works["AWSPENDING"] && !works["AWSPREVIOUS"] {
		// Where creating one ends the one in use, that's so until the value is stored. One
		// has to be left that the next can be made from, unless the issuer shows it.
		if exist, err := s.exists(); err != nil || !s.traits.Readable && (!s.traits.Replaces || !gap || len(exist) != 1) {
			return errors.Join(errors.New("none of the store's versions logs in"), err)
		}
	}
	if s.traits.Limit > 1 {
		exist, err := s.exists()
		if err != nil {
			return err
		}
		if len(exist) > s.traits.Limit {
			return fmt.Errorf("there are %d credentials, and %d may be", len(exist), s.traits.Limit)
		}
	}
	return nil
}

// safe is what must be true even if a hold ends the life.
func (s *scene) safe() error {
	if err := s.verify(); err != nil {
		return fmt.Errorf("the audit does not verify: %w", err)
	}
	if s.intact != nil {
		if err := s.intact(); err != nil {
			return err
		}
	}
	store, err := s.holds()
	if err != nil {
		return err
	}
	current := store.at(rota.LabelCurrent)
	if current.IsZero() || !s.w.struck || s.logIn == nil { // before the fault, works is enough
		return nil
	}
	if err := s.logIn(current); err != nil {
		return fmt.Errorf("AWSCURRENT holds %s, which cannot log in: %w", s.name(current), err)
	}
	return nil
}

// settled is what must be true whenever nothing is in flight.
func (s *scene) settled() error {
	if err := s.safe(); err != nil {
		return err
	}
	store, err := s.holds()
	if err != nil {
		return err
	}
	if v := store.labels[rota.LabelPending]; v != "" {
		return fmt.Errorf("AWSPENDING is left on %s", v)
	}
	target, err := s.consumers.file()
	if err != nil {
		return err
	}
	current := store.at(rota.LabelCurrent)
	served, _, _ := s.consumers.holds(true)
	if !same(target, current) || !same(served, current) {
		return fmt.Errorf("%s is current, the target holds %s, and consumers %s", s.name(current), s.name(target), s.name(served))
	}
	version := store.labels[rota.LabelCurrent]
	if on := store.labels[rota.LabelServed]; !current.IsZero() && on != version && !store.foreign[version] {
		return fmt.Errorf("ROTA_SERVED is on %q, not on the current version", on)
	}
	exist, err := s.exists()
	if err != nil {
		return err
	}
	for _, c := range store.versions {
		delete(exist, s.id(c))
	}
	for id := range exist {
		return orphanError(id)
	}
	return nil
}

// look is what the goals of the steps are about.
func (s *scene) look() (moment, error) {
	store, err := s.holds()
	if err != nil {
		return moment{}, err
	}
	exist, err := s.exists()
	if err != nil {
		return moment{}, err
	}
	state := func(id string) string {
		switch active, there := exist[id]; {
		case !there:
			return "gone"
		case active:
			return "active"
		}
		return "inactive"
	}
	current, previous := store.at(rota.LabelCurrent), store.at(rota.LabelPrevious)
	m := moment{
		current: s.name(current), previous: s.name(previous), previousID: s.id(previous), previousState: state(s.id(previous)),
		currentForeign: store.foreign[store.labels[rota.LabelCurrent]], previousForeign: store.foreign[store.labels[rota.LabelPrevious]],
		priorGone: state(s.w.start.previousID) == "gone",
	}
	return m, nil
}

// name tells credentials apart that have one id, "" for none.
func (s *scene) name(c rota.Credential) string {
	if c.IsZero() {
		return ""
	}
	sum := sha256.Sum256(fmt.Append(nil, c.Fields()))
	return fmt.Sprintf("%s/%x", s.id(c), sum[:3])
}

// mayHold says how a life may end in which a credential's origin can't be known
// any more: that one is left alone, and waited for if its place is needed.
func (s *scene) mayHold(k rotation.HoldKind, missing error) (string, bool) {
	_, orphan := errors.AsType[orphanError](missing)
	switch {
	case !orphan, !s.w.plan.lose && !s.madeTwo():
		return "", false
	case k == rotation.HoldNone:
		return "a key of unknown origin is left alone", true
	case k == rotation.HoldNoFreeSlot, k == rotation.HoldNeverIssued:
		return "hold: " + string(k), true
	}
	return "", false
}

// madeTwo reports whether the plan makes a call arrive twice that makes a
// credential, and nothing but the one in the response says which of them is Rota's.
func (s *scene) madeTwo() bool {
	return s.w.plan.kind == repeated && s.w.plan.call.creates() && !s.marks
}

// orphanError names a credential that no version of the store has.
type orphanError string

func (e orphanError) Error() string { return string(e) + " is an orphan" }

func (s *scene) close() {
	s.keeper.close()
	if s.fixture.close != nil {
		s.fixture.close()
	}
	_ = os.RemoveAll(s.dir)
}

func same(a, b rota.Credential) bool { return maps.Equal(a.Fields(), b.Fields()) }
