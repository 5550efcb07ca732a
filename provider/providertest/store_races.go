package providertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

// testStoreModel makes random writes and compares the labels with the simplest
// possible model: a map.
func testStoreModel(t T, s *store) {
	s.promoted(t)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)

	model := s.holders(t)
	values := map[string]rota.Credential{}
	set := func(l rota.Label, id string) {
		if id == "" {
			delete(model, l)
		} else {
			model[l] = id
		}
	}
	for range s.Writes {
		var what string
		if r.IntN(3) == 0 {
			// Only Move sets the current label here. What else Put does when it
			// sets that label is up to the store.
			labels := []rota.Label{rota.LabelPending}
			for _, l := range []rota.Label{rota.LabelServed, rota.LabelAdopted} {
				if r.IntN(4) == 0 {
					labels = append(labels, l)
				}
			}
			id, c := s.put(t, labels...)
			values[id] = c
			for _, l := range labels {
				set(l, id)
			}
			what = fmt.Sprintf("put with %v", labels)
		} else {
			l := rota.Labels()[r.IntN(len(rota.Labels()))]
			known := []string{""}
			for _, id := range model {
				known = append(known, id)
			}
			slices.Sort(known)
			from, to := known[r.IntN(len(known))], known[r.IntN(len(known))]
			if r.IntN(2) == 0 {
				from = model[l]
			}
			if l == rota.LabelCurrent && to == "" {
				continue // whether a secret can be left without a current version is up to the store
			}
			what = fmt.Sprintf("move %s from %q to %q", l, from, to)
			var want error
			switch {
			case model[l] == to:
			case model[l] != from:
				want = rota.ErrConflict
			default:
				set(l, to)
				if l == rota.LabelCurrent {
					set(rota.LabelPrevious, from)
					if from != "" && model[rota.LabelPending] == from {
						set(rota.LabelPending, "")
					}
				}
			}
			if err := s.move(t, l, from, to); !errors.Is(err, want) {
				t.Fatalf("%s: want %v, got %v", what, want, err)
			}
		}
		if diff := cmp.Diff(model, s.holders(t)); diff != "" {
			t.Fatalf("labels after %s (-want +got):\n%s", what, diff)
		}
	}
	for _, id := range model {
		if c, mine := values[id]; mine {
			s.reads(t, id, c)
		}
	}
}

func testMoveRace(t T, s *store) {
	current, _ := s.promoted(t)
	// Each candidate needs its own label to be sure to exist.
	var candidates []string
	for _, l := range []rota.Label{rota.LabelPending, rota.LabelServed, rota.LabelDeactivated, rota.LabelAdopted} {
		id, _ := s.put(t, l)
		candidates = append(candidates, id)
	}
	errs := together(len(candidates), func(n int) error {
		return s.Store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: current, To: candidates[n]})
	})
	winner := ""
	for n, err := range errs {
		switch {
		case s.seen(t, err) == nil && winner != "":
			t.Errorf("%s and %s both won", winner, candidates[n])
		case err == nil:
			winner = candidates[n]
		case !errors.Is(err, rota.ErrConflict):
			t.Errorf("the loser's error: want %q, got %v", rota.ErrConflict, err)
		}
	}
	if winner == "" {
		t.Fatal("nobody won")
	}
	s.has(t, map[rota.Label]string{rota.LabelCurrent: winner, rota.LabelPrevious: current})
}

func testPutRace(t T, s *store) {
	s.promoted(t)
	id, c := rota.NewVersionID(), s.credential()
	for _, err := range together(crowd, func(int) error {
		return s.Store.Put(t.Context(), rota.PutRequest{Version: id, Credential: c, Labels: []rota.Label{rota.LabelPending}})
	}) {
		if s.seen(t, err) != nil {
			t.Errorf("put the same at the same time: %v", err)
		}
	}
	s.has(t, map[rota.Label]string{rota.LabelPending: id})
	s.reads(t, id, c)

	id = rota.NewVersionID()
	candidates := make([]rota.Credential, crowd)
	for n := range candidates {
		candidates[n] = s.credential()
	}
	won := -1
	for n, err := range together(crowd, func(n int) error {
		return s.Store.Put(t.Context(), rota.PutRequest{Version: id, Credential: candidates[n], Labels: []rota.Label{rota.LabelPending}})
	}) {
		switch {
		case s.seen(t, err) == nil && won >= 0:
			t.Errorf("two different credentials were put under the same id")
		case err == nil:
			won = n
		case !errors.Is(err, rota.ErrConflict):
			t.Errorf("the loser's error: want %q, got %v", rota.ErrConflict, err)
		}
	}
	if won < 0 {
		t.Fatal("nobody won")
	}
	s.reads(t, id, candidates[won])
}

func testStoreReaders(t T, s *store) {
	first, c1 := s.promoted(t)
	second, c2 := s.promoted(t)
	const rounds = 20
	errs := together(4, func(n int) error {
		if n == 0 { // the only writer
			from, to := second, first
			for range rounds {
				if err := s.Store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: from, To: to}); err != nil {
					return fmt.Errorf("move: %w", err)
				}
				from, to = to, from
			}
			return nil
		}
		for range rounds {
			contents, err := s.Store.Describe(t.Context())
			if err != nil {
				return fmt.Errorf("describe: %w", err)
			}
			v, ok := rota.Find(contents.Versions, rota.LabelCurrent)
			if !ok {
				return errors.New("a reader saw no current version")
			}
			c, err := s.Store.Get(t.Context(), rota.GetRequest{Version: v.ID})
			if err != nil {
				return fmt.Errorf("get: %w", err)
			}
			if (v.ID == first && !c.Equal(c1)) || (v.ID == second && !c.Equal(c2)) {
				return errors.New("a reader saw a version with another's credential")
			}
		}
		return nil
	})
	for _, err := range errs {
		if s.seen(t, err) != nil {
			t.Error(err)
		}
	}
}

// testStoreFaults makes a rotation's calls, each of which fails once.
func testStoreFaults(t T, s *store, kind FaultKind) {
	first, c1 := s.promoted(t)
	try := func(op string, call func() error) {
		t.Helper()
		if s.Inject(op, kind) {
			err := s.seen(t, call())
			if kind == FailBefore && err == nil {
				t.Errorf("%s succeeded although the store failed", op)
			}
			if kind == Repeat && err != nil {
				t.Errorf("%s, sent twice: %v", op, err)
			}
			if errors.Is(err, rota.ErrConflict) || errors.Is(err, rota.ErrNotFound) {
				t.Errorf("%s claims to know what it can't: %v", op, err)
			}
		}
		if err := s.seen(t, call()); err != nil {
			t.Fatalf("%s, made again: %v", op, err)
		}
	}
	second, c2 := rota.NewVersionID(), s.credential()
	try("put", func() error {
		return s.Store.Put(t.Context(), rota.PutRequest{Version: second, Credential: c2, Labels: []rota.Label{rota.LabelPending}})
	})
	s.has(t, map[rota.Label]string{rota.LabelPending: second, rota.LabelCurrent: first})
	try("get", func() error {
		_, err := s.Store.Get(t.Context(), rota.GetRequest{Version: second})
		return err
	})
	try("move", func() error {
		return s.Store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: first, To: second})
	})
	s.has(t, map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: first})
	try("move", func() error {
		return s.Store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelPending, From: second, To: ""})
	})
	try("describe", func() error {
		_, err := s.Store.Describe(t.Context())
		return err
	})
	s.has(t, map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: first, rota.LabelPending: ""})
	s.reads(t, first, c1)
	s.reads(t, second, c2)
}
