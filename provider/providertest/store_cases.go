package providertest

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rota-dev/rota"
)

func testStoreEmpty(t T, s *store) {
	contents := s.describe(t)
	if len(contents.Versions) == 0 && !contents.ChangedAt.IsZero() {
		t.Errorf("there is nothing, but it changed at %s", contents.ChangedAt)
	}
	_, err := s.Store.Get(t.Context(), rota.GetRequest{Version: rota.NewVersionID()})
	if !errors.Is(s.seen(t, err), rota.ErrNotFound) {
		t.Errorf("get of a version that never was: want %q, got %v", rota.ErrNotFound, err)
	}
}

func testPut(t T, s *store) {
	s.promoted(t)
	id, c := s.put(t, rota.LabelPending, rota.LabelAdopted)
	s.has(t, map[rota.Label]string{rota.LabelPending: id, rota.LabelAdopted: id})
	s.reads(t, id, c)
	contents := s.describe(t)
	if contents.ChangedAt.IsZero() {
		t.Error("the time of the last change is zero")
	}
	v, _ := rota.FindID(contents.Versions, id)
	got := slices.Sorted(slices.Values(v.Labels))
	if diff := cmp.Diff([]rota.Label{rota.LabelPending, rota.LabelAdopted}, got, cmpopts.SortSlices(func(a, b rota.Label) bool { return a < b })); diff != "" {
		t.Errorf("labels:\n%s", diff)
	}
	_, err := s.Store.Get(t.Context(), rota.GetRequest{Version: rota.NewVersionID()})
	if !errors.Is(s.seen(t, err), rota.ErrNotFound) {
		t.Errorf("get of a version that never was: want %q, got %v", rota.ErrNotFound, err)
	}
}

func testPutAgain(t T, s *store) {
	s.promoted(t)
	id, c := s.put(t, rota.LabelPending)
	again := rota.PutRequest{Version: id, Credential: c, Labels: []rota.Label{rota.LabelPending}}
	for range 2 {
		if err := s.seen(t, s.Store.Put(t.Context(), again)); err != nil {
			t.Fatalf("put the same again: %v", err)
		}
	}
	again.Credential = s.credential()
	if err := s.seen(t, s.Store.Put(t.Context(), again)); !errors.Is(err, rota.ErrConflict) {
		t.Fatalf("put another credential under the same id: want %q, got %v", rota.ErrConflict, err)
	}
	s.reads(t, id, c)
	s.has(t, map[rota.Label]string{rota.LabelPending: id})
}

func testPutTakesLabel(t T, s *store) {
	s.promoted(t)
	first, _ := s.put(t, rota.LabelPending)
	second, c := s.put(t, rota.LabelPending)
	s.has(t, map[rota.Label]string{rota.LabelPending: second})
	if _, found := rota.FindID(s.describe(t).Versions, first); found {
		t.Error("the version that lost its only label is still described")
	}
	s.reads(t, second, c)
}

func testPutDoesNotPromote(t T, s *store) {
	current, c := s.promoted(t)
	previous := s.holder(t, rota.LabelPrevious)
	for _, labels := range [][]rota.Label{{rota.LabelPending}, {rota.LabelAdopted}, {rota.LabelPending, rota.LabelServed}} {
		s.put(t, labels...)
		s.has(t, map[rota.Label]string{rota.LabelCurrent: current, rota.LabelPrevious: previous})
	}
	s.reads(t, current, c)
}

func testUnlabelled(t T, s *store) {
	current, _ := s.promoted(t)
	id, _ := s.put(t, rota.LabelPending)
	s.mustMove(t, rota.LabelPending, id, "")
	s.has(t, map[rota.Label]string{rota.LabelPending: "", rota.LabelCurrent: current})
	if _, found := rota.FindID(s.describe(t).Versions, id); found {
		t.Error("it is still described")
	}
	s.mustMove(t, rota.LabelPending, id, "") // "" is the right from-version if no version has the label
}

func testPromote(t T, s *store) {
	first, c1 := s.promoted(t)
	second, c2 := s.put(t, rota.LabelPending)
	changed := s.describe(t).ChangedAt
	s.mustMove(t, rota.LabelCurrent, first, second)
	s.has(t, map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: first, rota.LabelPending: second})
	if now := s.describe(t).ChangedAt; now.Before(changed) {
		t.Errorf("the time of the last change went back from %s to %s", changed, now)
	}
	s.mustMove(t, rota.LabelPending, second, "")
	third, c3 := s.promoted(t)
	s.has(t, map[rota.Label]string{rota.LabelCurrent: third, rota.LabelPrevious: second, rota.LabelPending: ""})
	s.reads(t, third, c3)
	s.reads(t, second, c2)

	// A rollback is an ordinary move.
	s.mustMove(t, rota.LabelCurrent, third, second)
	s.has(t, map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: third})
	s.reads(t, second, c2)
	s.reads(t, third, c3)
	_ = c1
}

// testPendingLeaves replaces a version before AWSPENDING was taken off it.
func testPendingLeaves(t T, s *store) {
	first, _ := s.promoted(t)
	second, _ := s.put(t, rota.LabelPending, rota.LabelAdopted)
	s.mustMove(t, rota.LabelCurrent, first, second)
	s.mustMove(t, rota.LabelCurrent, second, first)
	s.has(t, map[rota.Label]string{rota.LabelCurrent: first, rota.LabelPrevious: second, rota.LabelPending: "", rota.LabelAdopted: second})

	// One that isn't on that version stays.
	third, _ := s.put(t, rota.LabelPending)
	s.mustMove(t, rota.LabelCurrent, first, second)
	s.has(t, map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: first, rota.LabelPending: third})
}

func testMoveConflict(t T, s *store) {
	first, _ := s.promoted(t)
	second, _ := s.promoted(t)
	third, _ := s.put(t, rota.LabelPending)
	never := rota.NewVersionID()
	want := s.holders(t)

	for _, c := range []struct {
		name     string
		label    rota.Label
		from, to string
		wanted   error
	}{
		{"to the version that has it", rota.LabelCurrent, first, second, nil},
		{"to the version that has it, from itself", rota.LabelCurrent, second, second, nil},
		{"off, where no version has it", rota.LabelServed, first, "", nil},
		{"from another version than the holder", rota.LabelCurrent, first, third, rota.ErrConflict},
		{"from no version, where one has it", rota.LabelCurrent, "", third, rota.ErrConflict},
		{"from a version, where none has it", rota.LabelServed, first, third, rota.ErrConflict},
		{"off another version than the holder", rota.LabelPending, second, "", rota.ErrConflict},
		{"from a version that never was", rota.LabelCurrent, never, third, rota.ErrConflict},
	} {
		err := s.move(t, c.label, c.from, c.to)
		if !errors.Is(err, c.wanted) {
			t.Errorf("move %s %s: want %v, got %v", c.label, c.name, c.wanted, err)
		}
		if diff := cmp.Diff(want, s.holders(t)); diff != "" {
			t.Fatalf("move %s %s changed the labels:\n%s", c.label, c.name, diff)
		}
	}
	if err := s.move(t, rota.LabelCurrent, second, never); err == nil {
		t.Error("current was moved to a version that never was")
	}
	if diff := cmp.Diff(want, s.holders(t)); diff != "" {
		t.Errorf("a move to a version that never was changed the labels:\n%s", diff)
	}
}

func testMilestones(t T, s *store) {
	first, _ := s.promoted(t)
	second, _ := s.promoted(t)
	for _, l := range []rota.Label{rota.LabelServed, rota.LabelDeactivated, rota.LabelAdopted} {
		s.mustMove(t, l, "", first)
		s.has(t, map[rota.Label]string{l: first, rota.LabelCurrent: second, rota.LabelPrevious: first})
		s.mustMove(t, l, first, second)
		s.has(t, map[rota.Label]string{l: second, rota.LabelCurrent: second, rota.LabelPrevious: first})
		s.mustMove(t, l, second, "")
		s.has(t, map[rota.Label]string{l: "", rota.LabelCurrent: second, rota.LabelPrevious: first})
	}
}

func testStoreContext(t T, s *store) {
	current, c := s.promoted(t)
	next, _ := s.put(t, rota.LabelPending)
	honours(t, "describe", s.Inject, "describe", func(ctx context.Context) error {
		_, err := s.Store.Describe(ctx)
		return s.seen(t, err)
	}, rota.ErrNotFound)
	honours(t, "get", s.Inject, "get", func(ctx context.Context) error {
		_, err := s.Store.Get(ctx, rota.GetRequest{Version: current})
		return s.seen(t, err)
	}, rota.ErrNotFound)
	another := s.credential()
	honours(t, "put", s.Inject, "put", func(ctx context.Context) error {
		return s.seen(t, s.Store.Put(ctx, rota.PutRequest{Version: rota.NewVersionID(), Credential: another, Labels: []rota.Label{rota.LabelPending}}))
	}, rota.ErrConflict)
	honours(t, "move", s.Inject, "move", func(ctx context.Context) error {
		return s.seen(t, s.Store.Move(ctx, rota.MoveRequest{Label: rota.LabelCurrent, From: current, To: next}))
	}, rota.ErrConflict)
	s.has(t, map[rota.Label]string{rota.LabelCurrent: current, rota.LabelPending: next})
	s.reads(t, current, c)
}

func testStorePreflight(t T, s *store) {
	s.promoted(t)
	before := s.holders(t)
	preflight(t, s.Store)
	if diff := cmp.Diff(before, s.holders(t)); diff != "" {
		t.Errorf("preflight changed the labels:\n%s", diff)
	}
}

func testStoreDurable(t T, s *store) {
	first, c1 := s.promoted(t)
	second, c2 := s.promoted(t)
	before := s.describe(t)
	s.Store = s.Reopen(goTest(t))
	s.has(t, map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: first})
	s.reads(t, first, c1)
	s.reads(t, second, c2)
	if diff := cmp.Diff(before, s.describe(t), cmpopts.SortSlices(func(a, b rota.Label) bool { return a < b })); diff != "" {
		t.Errorf("the description changed by reopening:\n%s", diff)
	}
}
