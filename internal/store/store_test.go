package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"pgregory.net/rapid"
)

// clock is a fake clock for several goroutines.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// openAt opens a store that is closed at the test's end.
func openAt(t testing.TB, dir string, now func() time.Time) *DB {
	t.Helper()
	db, err := Open(t.Context(), options(dir, now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func credential(value string) rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: value})
}

// labels returns who carries which label, and which versions exist.
func labels(t testing.TB, s rota.Store) map[string][]rota.Label {
	t.Helper()
	c, err := s.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]rota.Label{}
	for _, v := range c.Versions {
		out[v.ID] = v.Labels
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVersions(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		type put = rota.PutRequest
		type move = rota.MoveRequest
		one := put{Version: "v1", Credential: credential("one"), Labels: []rota.Label{rota.LabelCurrent}}
		two := put{Version: "v2", Credential: credential("two"), Labels: []rota.Label{rota.LabelPending}}
		tests := []struct {
			name  string
			given []any
			do    any
			want  map[string][]rota.Label
			err   error
			fails bool // with an unclassified error
		}{
			{name: "a put makes a version with its label",
				do: two, want: map[string][]rota.Label{"v2": {rota.LabelPending}}},
			{name: "a put never promotes by itself",
				given: []any{one}, do: two, want: map[string][]rota.Label{"v1": {rota.LabelCurrent}, "v2": {rota.LabelPending}}},
			{name: "a put takes its label off the version that had it, which goes",
				given: []any{one, two}, do: put{Version: "v3", Credential: credential("three"), Labels: []rota.Label{rota.LabelPending}},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}, "v3": {rota.LabelPending}}},
			{name: "a put as current moves previous",
				given: []any{one}, do: put{Version: "v2", Credential: credential("two"), Labels: []rota.Label{rota.LabelAdopted, rota.LabelCurrent}},
				want: map[string][]rota.Label{"v1": {rota.LabelPrevious}, "v2": {rota.LabelCurrent, rota.LabelAdopted}}},
			{name: "the same put again is no error",
				given: []any{one, two}, do: two, want: map[string][]rota.Label{"v1": {rota.LabelCurrent}, "v2": {rota.LabelPending}}},
			{name: "a late repeat of a put does not move labels back",
				given: []any{one, two, move{Label: rota.LabelCurrent, From: "v1", To: "v2"}, move{Label: rota.LabelPending, From: "v2"}}, do: two,
				want: map[string][]rota.Label{"v1": {rota.LabelPrevious}, "v2": {rota.LabelCurrent}}},
			{name: "the same id with another credential is a conflict",
				given: []any{two}, do: put{Version: "v2", Credential: credential("other"), Labels: []rota.Label{rota.LabelPending}},
				want: map[string][]rota.Label{"v2": {rota.LabelPending}}, err: rota.ErrConflict},
			{name: "a put without a label is refused",
				do: put{Version: "v2", Credential: credential("two")}, want: map[string][]rota.Label{}, fails: true},
			{name: "a put without a credential is refused",
				do: put{Version: "v2", Labels: []rota.Label{rota.LabelPending}}, want: map[string][]rota.Label{}, fails: true},
			{name: "a put of bytes that are no text is refused, rather than kept changed",
				do:   put{Version: "v2", Credential: credential("\xff\xfe"), Labels: []rota.Label{rota.LabelPending}},
				want: map[string][]rota.Label{}, fails: true},
			{name: "a put without an id is refused",
				do: put{Credential: credential("two"), Labels: []rota.Label{rota.LabelPending}}, want: map[string][]rota.Label{}, fails: true},
			{name: "moving current moves previous",
				given: []any{one, two}, do: move{Label: rota.LabelCurrent, From: "v1", To: "v2"},
				want: map[string][]rota.Label{"v1": {rota.LabelPrevious}, "v2": {rota.LabelCurrent, rota.LabelPending}}},
			{name: "moving current drops the version that was previous",
				given: []any{one, two, move{Label: rota.LabelCurrent, From: "v1", To: "v2"},
					put{Version: "v3", Credential: credential("three"), Labels: []rota.Label{rota.LabelPending}}},
				do:   move{Label: rota.LabelCurrent, From: "v2", To: "v3"},
				want: map[string][]rota.Label{"v2": {rota.LabelPrevious}, "v3": {rota.LabelCurrent, rota.LabelPending}}},
			{name: "a rollback swaps current and previous",
				given: []any{one, two, move{Label: rota.LabelCurrent, From: "v1", To: "v2"}, move{Label: rota.LabelPending, From: "v2"}},
				do:    move{Label: rota.LabelCurrent, From: "v2", To: "v1"},
				want:  map[string][]rota.Label{"v1": {rota.LabelCurrent}, "v2": {rota.LabelPrevious}}},
			{name: "moving from a version that lacks the label is a conflict",
				given: []any{one, two}, do: move{Label: rota.LabelCurrent, From: "v2", To: "v3"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}, "v2": {rota.LabelPending}}, err: rota.ErrConflict},
			{name: "moving from none while one has it is a conflict",
				given: []any{one, two}, do: move{Label: rota.LabelCurrent, To: "v2"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}, "v2": {rota.LabelPending}}, err: rota.ErrConflict},
			{name: "moving to where it is already is no error, whatever From says",
				given: []any{one}, do: move{Label: rota.LabelCurrent, From: "v9", To: "v1"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}}},
			{name: "moving from none puts a label that nobody has",
				given: []any{one}, do: move{Label: rota.LabelServed, To: "v1"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent, rota.LabelServed}}},
			{name: "moving to none takes the label off, and a version without any goes",
				given: []any{one, two}, do: move{Label: rota.LabelPending, From: "v2"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}}},
			{name: "taking off what is off is no error",
				given: []any{one}, do: move{Label: rota.LabelPending, From: "v2"}, want: map[string][]rota.Label{"v1": {rota.LabelCurrent}}},
			{name: "moving to a version that is not there is not found",
				given: []any{one}, do: move{Label: rota.LabelCurrent, From: "v1", To: "v2"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}}, err: rota.ErrNotFound},
			{name: "current can't be taken off",
				given: []any{one}, do: move{Label: rota.LabelCurrent, From: "v1"},
				want: map[string][]rota.Label{"v1": {rota.LabelCurrent}}, err: rota.ErrConflict},
			{name: "a move without a label is refused",
				given: []any{one}, do: move{From: "v1"}, want: map[string][]rota.Label{"v1": {rota.LabelCurrent}}, fails: true},
		}
		db := openAt(t, newDir(t), nil)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s, other := db.Secret(tt.name), db.Secret(tt.name+", its neighbour")
				must(t, other.Put(t.Context(), one))
				apply := func(request any) error {
					if r, ok := request.(put); ok {
						return s.Put(t.Context(), r)
					}
					return s.Move(t.Context(), request.(move))
				}
				for _, g := range tt.given {
					must(t, apply(g))
				}
				err := apply(tt.do)
				switch {
				case tt.fails && err == nil:
					t.Error("no error")
				case !tt.fails && !errors.Is(err, tt.err):
					t.Errorf("error %v, want %v", err, tt.err)
				case err != nil && rota.ClassOf(err) != rota.ClassStop:
					t.Errorf("class %s of %v, want stop", rota.ClassOf(err), err)
				}
				if diff := cmp.Diff(tt.want, labels(t, s)); diff != "" {
					t.Errorf("labels (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(map[string][]rota.Label{"v1": {rota.LabelCurrent}}, labels(t, other)); diff != "" {
					t.Errorf("another secret changed (-want +got):\n%s", diff)
				}
			})
		}
	})
}

func TestGetReturnsStoredVersionsAndNotFoundOtherwise(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		s := db.Secret("prod/app")
		want := rota.NewCredential(map[string]string{"access_key_id": "AKIA1", "secret_access_key": "s3cr\x00et/é", "empty": ""})
		must(t, s.Put(t.Context(), rota.PutRequest{Version: "v1", Credential: want, Labels: []rota.Label{rota.LabelPending}}))
		for _, store := range []rota.Store{s, openAt(t, dir, nil).Secret("prod/app")} {
			got, err := store.Get(t.Context(), rota.GetRequest{Version: "v1"})
			must(t, err)
			if !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		for _, store := range []rota.Store{s, db.Secret("prod/other")} {
			if _, err := store.Get(t.Context(), rota.GetRequest{Version: "v2"}); !errors.Is(err, rota.ErrNotFound) {
				t.Errorf("a missing version: %v, want not found", err)
			}
		}
		must(t, s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelPending, From: "v1"}))
		if _, err := s.Get(t.Context(), rota.GetRequest{Version: "v1"}); !errors.Is(err, rota.ErrNotFound) {
			t.Errorf("a version that lost its last label: %v, want not found", err)
		}
	})
}

func TestDescribeReturnsTimes(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		s := db.Secret("prod/app")
		empty, err := s.Describe(t.Context())
		must(t, err)
		if diff := cmp.Diff(rota.Contents{}, empty); diff != "" {
			t.Errorf("a secret that is not there (-want +got):\n%s", diff)
		}
		start := c.now()
		must(t, s.Put(t.Context(), rota.PutRequest{Version: "v2", Credential: credential("a"), Labels: []rota.Label{rota.LabelCurrent}}))
		c.advance(time.Hour)
		must(t, s.Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential("b"), Labels: []rota.Label{rota.LabelPending}}))
		c.advance(time.Hour)
		must(t, s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: "v2", To: "v1"}))
		c.advance(time.Hour)
		must(t, s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: "v2", To: "v1"})) // changes nothing
		got, err := s.Describe(t.Context())
		must(t, err)
		want := rota.Contents{
			ChangedAt: start.Add(2 * time.Hour),
			Versions: []rota.Version{
				{ID: "v2", Labels: []rota.Label{rota.LabelPrevious}, CreatedAt: start},
				{ID: "v1", Labels: []rota.Label{rota.LabelCurrent, rota.LabelPending}, CreatedAt: start.Add(time.Hour)},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("contents (-want +got):\n%s", diff)
		}
	})
}

// model is the labels of one secret as a person would explain them.
type model map[rota.Label]string

func (m model) has(version string) bool {
	return slices.Contains(slices.Collect(maps.Values(m)), version)
}

func (m model) set(l rota.Label, to string) {
	from := m[l]
	delete(m, l)
	if to != "" {
		m[l] = to
	}
	if l == rota.LabelCurrent && from != "" && from != to {
		m[rota.LabelPrevious] = from
		if m[rota.LabelPending] == from {
			delete(m, rota.LabelPending)
		}
	}
}

func TestLabelsBehaveLikeTheModel(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		run := 0
		rapid.Check(t, func(r *rapid.T) {
			run++
			s := db.Secret(fmt.Sprintf("secret %d", run))
			m := model{}
			version := rapid.SampledFrom([]string{"v1", "v2", "v3", "v4"})
			maybe := rapid.SampledFrom([]string{"", "v1", "v2", "v3", "v4"})
			label := rapid.SampledFrom(rota.Labels())
			r.Repeat(map[string]func(*rapid.T){
				"put": func(r *rapid.T) {
					v, value := version.Draw(r, "version"), rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(r, "value")
					l := label.Draw(r, "label")
					stored, getErr := s.Get(t.Context(), rota.GetRequest{Version: v})
					if (getErr == nil) != m.has(v) {
						r.Fatalf("get %s: %v, while the model has it: %v", v, getErr, m.has(v))
					}
					err := s.Put(t.Context(), rota.PutRequest{Version: v, Credential: credential(value), Labels: []rota.Label{l}})
					switch {
					case !m.has(v):
						m.set(l, v)
					case !stored.Equal(credential(value)):
						if !errors.Is(err, rota.ErrConflict) {
							r.Fatalf("put of another value: %v", err)
						}
						return
					}
					if err != nil {
						r.Fatal(err)
					}
				},
				"move": func(r *rapid.T) {
					l, from, to := label.Draw(r, "label"), maybe.Draw(r, "from"), maybe.Draw(r, "to")
					if rapid.Bool().Draw(r, "from where it is") {
						from = m[l]
					}
					err := s.Move(t.Context(), rota.MoveRequest{Label: l, From: from, To: to})
					var want error
					switch {
					case m[l] == to:
					case m[l] != from, l == rota.LabelCurrent && to == "":
						want = rota.ErrConflict
					case to != "" && !m.has(to):
						want = rota.ErrNotFound
					default:
						m.set(l, to)
					}
					if !errors.Is(err, want) {
						r.Fatalf("move %s from %q to %q: %v, want %v", l, from, to, err, want)
					}
				},
				"": func(r *rapid.T) {
					got := model{}
					for id, ls := range labels(t, s) {
						for _, l := range ls {
							got[l] = id
						}
					}
					if diff := cmp.Diff(m, got); diff != "" {
						r.Fatalf("labels (-model +store):\n%s", diff)
					}
				},
			})
		})
	})
}

func TestNothingSecretIsInTheFiles(t *testing.T) {
	dir := newDir(t)
	db := openAt(t, dir, nil)
	const canary = "canary-7f3a91c2"
	for _, name := range []string{"one", "two"} {
		must(t, db.Secret(name).Put(t.Context(), rota.PutRequest{Version: "v1", Labels: []rota.Label{rota.LabelCurrent},
			Credential: rota.NewCredential(map[string]string{"field-" + canary: canary})}))
	}
	files, seen := 0, false
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		must(t, err)
		info, err := e.Info()
		must(t, err)
		if e.IsDir() {
			if info.Mode().Perm() != 0o700 {
				t.Errorf("%s has mode %v, want 0700", path, info.Mode())
			}
			return nil
		}
		files++
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode())
		}
		raw, err := os.ReadFile(path)
		must(t, err)
		if i := bytes.Index(raw, []byte(canary)); i >= 0 {
			t.Errorf("%s holds a value in clear at byte %d", path, i)
		}
		seen = seen || bytes.Contains(raw, []byte("AWSCURRENT"))
		return nil
	}))
	if files < 3 {
		t.Fatalf("%d files, want database, WAL and key at least", files)
	}
	if !seen {
		t.Error("the scan does not find what is stored in clear")
	}
}
