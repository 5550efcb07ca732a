package providertest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rota-dev/rota"
)

// StoreFixture is a store for a fresh secret, which either doesn't exist yet or
// has a single, current version.
type StoreFixture struct {
	Store rota.Store
	Polling
	// Inject makes the store fail; nil if it can't.
	Inject Inject
	// Reopen opens the same secret's store again, as after a restart; nil if
	// that proves nothing.
	Reopen func(t *testing.T) rota.Store
	// Credential returns the n-th of a series of distinct credentials. Defaults
	// to access keys.
	Credential func(n int) rota.Credential
	// Writes is how many writes the random case makes. Defaults to 60.
	Writes int
}

// store is one case's store.
type store struct {
	StoreFixture
	made []rota.Credential
}

// Store runs the suite for [rota.Store]. fixture is called once per case, and
// once before all of them to find out which cases apply.
func Store(t *testing.T, fixture func(t *testing.T) StoreFixture) {
	suite(std{t}, func(t T) *store {
		f := fixture(goTest(t))
		if f.Credential == nil {
			f.Credential = sample
		}
		if f.Writes == 0 {
			f.Writes = 60
		}
		return &store{StoreFixture: f}
	}, []conformance[*store]{
		{"a secret that doesn't exist has no versions", testStoreEmpty, nil},
		{"a version that was put can be described and read", testPut, nil},
		{"an id can only be put again with the same credential", testPutAgain, nil},
		{"put moves a label from the version that had it", testPutTakesLabel, nil},
		{"put doesn't promote", testPutDoesNotPromote, nil},
		{"a version without labels isn't described", testUnlabelled, nil},
		{"moving current moves previous", testPromote, nil},
		{"pending leaves the version that was current", testPendingLeaves, nil},
		{"a move is a compare-and-swap", testMoveConflict, nil},
		{"milestones move like any label", testMilestones, nil},
		{"any sequence of writes leaves the labels that the model predicts", testStoreModel, nil},
		{"one of several concurrent moves of a label wins", testMoveRace, nil},
		{"the same version can be put concurrently", testPutRace, nil},
		{"readers always see a current version", testStoreReaders, nil},
		{"writes are durable", testStoreDurable, (*store).reopens},
		{"calls return when their context ends", testStoreContext, nil},
		{"preflight finds no problems and changes nothing", testStorePreflight, (*store).preflight},
		faulty("faults: a call that fails before it takes effect can be repeated", FailBefore, testStoreFaults),
		faulty("faults: a call whose reply was lost can be made again", LoseReply, testStoreFaults),
		faulty("faults: a call that's sent twice does no harm", Repeat, testStoreFaults),
	})
}

func (s *store) reopens() bool   { return s.Reopen != nil }
func (s *store) preflight() bool { return is[rota.Preflighter](s.Store) }

// canFail reports whether a rotation's calls can fail in this way.
func (s *store) canFail(kind FaultKind) bool {
	return s.Inject.can(kind, "put", "get", "move", "describe")
}

func (s *store) seen(t T, err error, also ...rota.Credential) error {
	t.Helper()
	safe(t, err, []string{rota.FieldAccessKeyID, rota.FieldUsername}, slices.Concat(s.made, also)...)
	return err
}

func (s *store) credential() rota.Credential {
	c := s.Credential(len(s.made))
	s.made = append(s.made, c)
	return c
}

// put stores a new version with the labels and returns its id.
func (s *store) put(t T, labels ...rota.Label) (string, rota.Credential) {
	t.Helper()
	id, c := rota.NewVersionID(), s.credential()
	err := s.Store.Put(t.Context(), rota.PutRequest{Version: id, Credential: c, Labels: labels})
	if s.seen(t, err) != nil {
		t.Fatalf("put: %v", err)
	}
	return id, c
}

func (s *store) move(t T, l rota.Label, from, to string) error {
	t.Helper()
	return s.seen(t, s.Store.Move(t.Context(), rota.MoveRequest{Label: l, From: from, To: to}))
}

func (s *store) mustMove(t T, l rota.Label, from, to string) {
	t.Helper()
	if err := s.move(t, l, from, to); err != nil {
		t.Fatalf("move %s from %q to %q: %v", l, from, to, err)
	}
}

// promoted puts a version and makes it current, as a rotation does.
func (s *store) promoted(t T) (string, rota.Credential) {
	t.Helper()
	id, c := s.put(t, rota.LabelPending)
	s.mustMove(t, rota.LabelCurrent, s.holder(t, rota.LabelCurrent), id)
	s.mustMove(t, rota.LabelPending, id, "")
	return id, c
}

func (s *store) describe(t T) rota.Contents {
	t.Helper()
	c, err := s.Store.Describe(t.Context())
	if s.seen(t, err) != nil {
		t.Fatalf("describe: %v", err)
	}
	for i, v := range c.Versions {
		if len(v.Labels) == 0 {
			t.Errorf("version %s is described without a label", v.ID)
		}
		if v.CreatedAt.IsZero() {
			t.Errorf("version %s has no time of creation", v.ID)
		}
		if v.CredentialID != "" {
			t.Errorf("version %s has the credential id %q, which stores leave empty", v.ID, v.CredentialID)
		}
		for _, w := range c.Versions[:i] {
			if v.ID == w.ID {
				t.Errorf("version %s is described twice", v.ID)
			}
		}
	}
	return c
}

// holder returns the version that has the label, or "" if none does. The test
// fails if there's more than one.
func (s *store) holder(t T, l rota.Label) string {
	t.Helper()
	return s.holders(t)[l]
}

func (s *store) holders(t T) map[rota.Label]string {
	t.Helper()
	holders := map[rota.Label]string{}
	for _, v := range s.describe(t).Versions {
		for _, l := range v.Labels {
			if other, taken := holders[l]; taken {
				t.Errorf("%s is on %s and on %s", l, other, v.ID)
			}
			holders[l] = v.ID
		}
	}
	return holders
}

// has waits until the labels are on the versions wanted, "" for none. Other
// labels can be anywhere.
func (s *store) has(t T, want map[rota.Label]string) {
	t.Helper()
	s.until(t, "the labels", func() error {
		holders := s.holders(t)
		for l, id := range want {
			if holders[l] != id {
				return fmt.Errorf("%s is on %q, want %q", l, holders[l], id)
			}
		}
		return nil
	})
}

// reads checks the value of a version.
func (s *store) reads(t T, id string, want rota.Credential) {
	t.Helper()
	got, err := s.Store.Get(t.Context(), rota.GetRequest{Version: id})
	if s.seen(t, err) != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	if !got.Equal(want) {
		t.Fatalf("version %s reads otherwise than it was put: fields %v, want %v, or other values", id, got.Names(), want.Names())
	}
}
