// Package recordtest is the conformance suite for record.Records, which every
// implementation passes.
package recordtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

// Fixture is one empty set of records.
type Fixture struct {
	Records record.Records
	// Entries returns the audit so far, of one secret.
	Entries func(secret string) []rotation.Entry
	// Advance moves the records' clock, which nothing else moves.
	Advance func(time.Duration)
}

// Start is when a fixture's clock starts, in whole microseconds.
var Start = time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)

// Run checks an implementation. open creates a fixture for one test.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Fixture)
	}{
		{"a stored record is found", roundTrip},
		{"values of all kinds round-trip", values},
		{"a failed change has no effect", failure},
		{"a removed version loses its value", removal},
		{"a removed secret is gone and can be created again", remove},
		{"a version can exist without a value", empty},
		{"a secret is gone after its recovery window", window},
		{"a read records the day and the entry", reading},
		{"pages in every order contain each secret once", pages},
		{"due secrets are listed, longest overdue first", due},
		{"concurrent changes are never lost", race},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func text(s string) record.Value { return record.Value{Text: &s} }

// create creates a secret with one version per label.
func create(t testing.TB, f Fixture, name string, labels ...string) {
	t.Helper()
	err := f.Records.Update(t.Context(), name, func(c *record.Change) error {
		c.Suffix, c.CreatedAt, c.ChangedAt = "AbCdEf", c.Now, c.Now
		for _, label := range labels {
			c.Versions = append(c.Versions, record.Version{ID: "version-" + label, CreatedAt: c.Now, Labels: []string{label}})
			c.Put("version-"+label, text("value of "+label))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, f Fixture, name string) record.Record {
	t.Helper()
	r, err := f.Records.View(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantMissing(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, record.ErrNotFound) {
		t.Errorf("error %v, want %v", err, record.ErrNotFound)
	}
}

func same(t testing.TB, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func roundTrip(t *testing.T, f Fixture) {
	_, err := f.Records.View(t.Context(), "prod/app")
	wantMissing(t, err)
	want := record.Record{
		Name: "prod/app", Suffix: "AbCdEf", Description: "Größe 7", KMSKeyID: "alias/x", Type: "kind",
		Tags:   []record.Tag{{Key: "b", Value: "1"}, {Key: "a", Value: ""}},
		Policy: `{"Statement": []}`, CreatedAt: Start, ChangedAt: Start.Add(time.Second),
		Rotation: record.Rotation{
			Enabled: true, FunctionARN: "arn:f", AfterDays: 7, Duration: "2h", Schedule: "rate(7 days)",
			RotatedAt: Start.Add(time.Minute), NextAt: Start.Add(time.Hour),
			Underway: record.Underway{Version: "second", Rehearsal: true},
		},
		Versions: []record.Version{
			{ID: "second", CreatedAt: Start, Labels: []string{"AWSCURRENT", "mine"}},
			{ID: "first", CreatedAt: Start.Add(time.Second)},
		},
	}
	entry := rotation.Entry{At: Start, Actor: "me", From: "192.0.2.1", Secret: "prod/app", Step: "put", Outcome: rotation.OutcomeSucceeded}
	err = f.Records.Update(t.Context(), "prod/app", func(c *record.Change) error {
		if c.Exists || c.Name != "prod/app" || !c.Now.Equal(Start) {
			t.Errorf("exists %v, name %q, now %v", c.Exists, c.Name, c.Now)
		}
		c.Record = want.Clone()
		c.Put("second", text("2"))
		c.Put("first", text("1"))
		return nil
	}, entry)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, view(t, f, "prod/app"))
	same(t, []rotation.Entry{entry}, f.Entries("prod/app"))

	// An empty list of tags isn't the same as none.
	for _, tags := range [][]record.Tag{{}, nil} {
		if err := f.Records.Update(t.Context(), "prod/app", func(c *record.Change) error {
			c.Tags = tags
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := view(t, f, "prod/app").Tags; len(got) != 0 || (got == nil) != (tags == nil) {
			t.Errorf("tags %#v, want %#v", got, tags)
		}
	}

	// All of it can also be changed and removed.
	want.Description, want.Tags, want.Policy, want.Rotation = "", nil, "", record.Rotation{}
	want.Versions[0].Labels, want.Versions[1].Labels = []string{"mine"}, []string{"AWSCURRENT"}
	err = f.Records.Update(t.Context(), "prod/app", func(c *record.Change) error {
		if !c.Exists {
			t.Error("the secret should exist")
		}
		c.Record = want.Clone()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, view(t, f, "prod/app"))
}

func values(t *testing.T, f Fixture) {
	for name, v := range map[string]record.Value{
		"plain":       text("hush"),
		"object":      text(`{"b": "x",  "a":"<&>"}`),
		"numbers":     text(`{"a": 1}`),
		"tagged":      text("t"),
		"odd":         text("\x00\"\\\u2028 é 🔑"),
		"binary":      {Binary: []byte{0, 1, 255, '{', '}'}},
		"binary-text": {Binary: []byte(`{"a":"b"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			err := f.Records.Update(t.Context(), name, func(c *record.Change) error {
				c.Suffix = "AbCdEf"
				c.Versions = []record.Version{{ID: "v", CreatedAt: c.Now, Labels: []string{"AWSCURRENT"}}}
				c.Put("v", v)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Records.Value(t.Context(), name, "v")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, got); diff != "" {
				t.Error(diff)
			}
			err = f.Records.Update(t.Context(), name, func(c *record.Change) error {
				old, err := c.Value("v")
				if !old.Equal(v) {
					t.Error("a change sees a different value")
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func failure(t *testing.T, f Fixture) {
	create(t, f, "a", "AWSCURRENT")
	before := view(t, f, "a")
	failed := errors.New("no")
	for _, name := range []string{"a", "b"} {
		err := f.Records.Update(t.Context(), name, func(c *record.Change) error {
			c.Description, c.Versions = "changed", nil
			c.Put("version-AWSCURRENT", text("other"))
			return failed
		}, rotation.Entry{At: Start, Actor: "me", Secret: name, Step: "put"})
		if !errors.Is(err, failed) {
			t.Errorf("error %v, want the error from change", err)
		}
	}
	same(t, before, view(t, f, "a"))
	v, err := f.Records.Value(t.Context(), "a", "version-AWSCURRENT")
	if err != nil || !v.Equal(text("value of AWSCURRENT")) {
		t.Errorf("the value changed, or %v", err)
	}
	if n := len(f.Entries("a")); n != 0 {
		t.Errorf("%d entries of a change that failed", n)
	}
	_, err = f.Records.View(t.Context(), "b")
	wantMissing(t, err)
}

func removal(t *testing.T, f Fixture) {
	create(t, f, "a", "AWSCURRENT", "AWSPREVIOUS")
	err := f.Records.Update(t.Context(), "a", func(c *record.Change) error {
		c.Versions = c.Versions[:1]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Records.Value(t.Context(), "a", "version-AWSPREVIOUS")
	wantMissing(t, err)
	err = f.Records.Update(t.Context(), "a", func(c *record.Change) error {
		if len(c.Versions) != 1 {
			t.Errorf("%d versions", len(c.Versions))
		}
		c.Versions = append(c.Versions, record.Version{ID: "version-AWSPREVIOUS", CreatedAt: c.Now})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Records.Value(t.Context(), "a", "version-AWSPREVIOUS") // the old value must not be back
	wantMissing(t, err)
}

func remove(t *testing.T, f Fixture) {
	create(t, f, "a", "AWSCURRENT")
	for range 2 { // the second time it's a no-op
		err := f.Records.Update(t.Context(), "a", func(c *record.Change) error {
			c.Remove = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Records.View(t.Context(), "a")
		wantMissing(t, err)
		_, err = f.Records.Value(t.Context(), "a", "version-AWSCURRENT")
		wantMissing(t, err)
	}
	create(t, f, "a", "AWSPENDING")
	if r := view(t, f, "a"); len(r.Versions) != 1 || r.Versions[0].ID != "version-AWSPENDING" {
		t.Errorf("created again: %+v", r)
	}
}

func empty(t *testing.T, f Fixture) {
	create(t, f, "a", "AWSCURRENT")
	change := func(do func(c *record.Change)) {
		t.Helper()
		err := f.Records.Update(t.Context(), "a", func(c *record.Change) error { do(c); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	change(func(c *record.Change) {
		c.Versions = append(c.Versions, record.Version{ID: "new", CreatedAt: c.Now.Add(time.Second), Labels: []string{"AWSPENDING"}})
	})
	if v := view(t, f, "a").Versions; len(v) != 2 || v[0].Empty || !v[1].Empty {
		t.Errorf("versions %+v, want the second empty", v)
	}
	_, err := f.Records.Value(t.Context(), "a", "new")
	wantMissing(t, err)
	change(func(c *record.Change) {
		if _, err := c.Value("new"); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		c.Put("new", text("x"))
		if v, err := c.Value("new"); err != nil || !v.Equal(text("x")) {
			t.Errorf("the new value isn't visible: %v", err)
		}
	})
	if v := view(t, f, "a").Versions; v[1].Empty {
		t.Error("the version is still empty")
	}
	if v, err := f.Records.Value(t.Context(), "a", "new"); err != nil || !v.Equal(text("x")) {
		t.Errorf("value: %v", err)
	}
}

func window(t *testing.T, f Fixture) {
	create(t, f, "a", "AWSCURRENT")
	err := f.Records.Update(t.Context(), "a", func(c *record.Change) error {
		c.DeletedAt, c.DeleteAt = c.Now, c.Now.Add(time.Hour)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := view(t, f, "a"); !r.DeletedAt.Equal(Start) || !r.DeleteAt.Equal(Start.Add(time.Hour)) {
		t.Errorf("deleted %v, to be removed %v", r.DeletedAt, r.DeleteAt)
	}
	f.Advance(time.Hour)
	_, err = f.Records.View(t.Context(), "a")
	wantMissing(t, err)
	_, err = f.Records.Value(t.Context(), "a", "version-AWSCURRENT")
	wantMissing(t, err)
	if found, err := f.Records.List(t.Context(), record.Page{Limit: 10}); err != nil || len(found) != 0 {
		t.Errorf("listed %v, %v", found, err)
	}
	create(t, f, "a", "AWSPENDING")
	if r := view(t, f, "a"); len(r.Versions) != 1 || !r.DeleteAt.IsZero() {
		t.Errorf("created again: %+v", r)
	}
}

func reading(t *testing.T, f Fixture) {
	create(t, f, "a", "AWSCURRENT", "AWSPREVIOUS")
	day := record.Day(Start)
	for range 2 {
		entry := rotation.Entry{At: Start, Actor: "me", Secret: "a", Step: "get", Version: "version-AWSCURRENT", Outcome: rotation.OutcomeSucceeded}
		if _, err := f.Records.Value(t.Context(), "a", "version-AWSCURRENT", entry); err != nil {
			t.Fatal(err)
		}
	}
	r := view(t, f, "a")
	if !r.AccessedAt.Equal(day) || !r.Version("version-AWSCURRENT").AccessedAt.Equal(day) || !r.Version("version-AWSPREVIOUS").AccessedAt.IsZero() {
		t.Errorf("accessed: %+v", r)
	}
	if n := len(f.Entries("a")); n != 2 {
		t.Errorf("%d entries, want one for each read", n)
	}
	f.Advance(24 * time.Hour)
	if _, err := f.Records.Value(t.Context(), "a", "version-AWSPREVIOUS"); err != nil {
		t.Fatal(err)
	}
	r = view(t, f, "a")
	if !r.AccessedAt.Equal(day.Add(24*time.Hour)) || !r.Version("version-AWSCURRENT").AccessedAt.Equal(day) {
		t.Errorf("accessed a day later: %+v", r)
	}
	if !r.ChangedAt.Equal(Start) {
		t.Errorf("a read changed the secret's date to %v", r.ChangedAt)
	}
}

func pages(t *testing.T, f Fixture) {
	names := []string{"d", "a", "c", "B", "e/1", "b", "ä"}
	for i, name := range names {
		if i%2 == 0 { // two are created at the same time
			f.Advance(time.Second)
		}
		create(t, f, name, "AWSCURRENT")
	}
	if _, err := f.Records.Value(t.Context(), "c", "version-AWSCURRENT"); err != nil {
		t.Fatal(err)
	}
	f.Advance(time.Second)
	if err := f.Records.Update(t.Context(), "a", func(c *record.Change) error { c.ChangedAt = c.Now; return nil }); err != nil {
		t.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(names))
	for _, test := range []struct {
		name string
		by   record.Order
		want []string
	}{
		{"name", record.ByName, sorted},
		{"creation", record.ByCreation, []string{"a", "d", "B", "c", "b", "e/1", "ä"}},
		{"change", record.ByChange, []string{"d", "B", "c", "b", "e/1", "ä", "a"}},
		{"access", record.ByAccess, append(slices.DeleteFunc(slices.Clone(sorted), func(s string) bool { return s == "c" }), "c")},
	} {
		for _, descending := range []bool{false, true} {
			t.Run(fmt.Sprintf("by %s, descending %v", test.name, descending), func(t *testing.T) {
				want := slices.Clone(test.want)
				if descending {
					slices.Reverse(want)
				}
				for limit := 1; limit <= len(names)+1; limit++ {
					same(t, want, listAll(t, f, record.Page{By: test.by, Descending: descending, Limit: limit}))
				}
			})
		}
	}
	all, err := f.Records.List(t.Context(), record.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		same(t, view(t, f, r.Name), r)
	}
}

func listAll(t *testing.T, f Fixture, p record.Page) (names []string) {
	t.Helper()
	for {
		page, err := f.Records.List(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			names = append(names, r.Name)
		}
		if len(page) < p.Limit || len(names) > 100 {
			return names
		}
		p.After = p.By.Cursor(page[len(page)-1])
	}
}

func due(t *testing.T, f Fixture) {
	for name, in := range map[string]time.Duration{"soon": 2 * time.Hour, "first": time.Hour, "later": 10 * time.Hour} {
		create(t, f, name)
		err := f.Records.Update(t.Context(), name, func(c *record.Change) error {
			if name == "first" {
				c.DeleteAt = c.Now.Add(in)
				return nil
			}
			c.Rotation.NextAt = c.Now.Add(in)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	create(t, f, "never")
	want := func(limit int, want ...string) {
		t.Helper()
		got, err := f.Records.Due(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, want, got)
	}
	want(10)
	f.Advance(2 * time.Hour)
	want(10, "first", "soon")
	want(1, "first")
	if err := f.Records.Update(t.Context(), "first", func(c *record.Change) error { c.Remove = true; return nil }); err != nil {
		t.Fatal(err)
	}
	want(10, "soon")
}

func race(t *testing.T, f Fixture) {
	create(t, f, "a")
	const changes = 20
	var all sync.WaitGroup
	for i := range changes {
		all.Go(func() {
			err := f.Records.Update(context.WithoutCancel(t.Context()), "a", func(c *record.Change) error {
				id := fmt.Sprint("v", i)
				c.Description += "x"
				c.Versions = append(c.Versions, record.Version{ID: id, CreatedAt: c.Now.Add(time.Duration(i) * time.Second)})
				c.Put(id, text(id))
				return nil
			}, rotation.Entry{At: Start, Actor: "me", Secret: "a", Step: "put"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r := view(t, f, "a")
	if len(r.Description) != changes || len(r.Versions) != changes || len(f.Entries("a")) != changes {
		t.Errorf("%d changes, %d versions and %d entries, want %d of each", len(r.Description), len(r.Versions), len(f.Entries("a")), changes)
	}
}
