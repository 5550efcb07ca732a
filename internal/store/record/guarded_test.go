package record_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

func caller(rules ...access.Rule) access.Caller {
	return access.Caller{Principal: "app/orders", Method: "sigv4", From: "192.0.2.7", Rules: rules}
}

// outcome is what a call did: the kind of error, and the audit entries.
type outcome struct {
	denied  bool
	entries []string // step and outcome
}

func TestWhatACallerIsAllowed(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	first := func(record.Record) (string, error) { return "v", nil }
	calls := map[string]func(*testing.T, *record.Guarded) error{
		"view": func(t *testing.T, g *record.Guarded) error { _, err := g.View(t.Context(), "prod/a"); return err },
		"read": func(t *testing.T, g *record.Guarded) error {
			_, _, err := g.ReadVersion(t.Context(), "prod/a", first)
			return err
		},
		"put": func(t *testing.T, g *record.Guarded) error {
			act := record.Operation{Action: access.Write, Op: "put"}
			return g.Update(t.Context(), "prod/a", act, func(*record.Change) error { return nil })
		},
		"due": func(t *testing.T, g *record.Guarded) error { _, err := g.Due(t.Context(), 1); return err },
	}
	for _, test := range []struct {
		name string
		rule access.Rule
		want map[string]outcome
	}{
		{"a reader", access.Rule{Action: access.Read, Pattern: "prod/*"}, map[string]outcome{
			"view": {true, []string{"view denied"}}, "read": {false, []string{"get ok"}},
			"put": {true, []string{"put denied"}}, "due": {true, []string{"due denied"}},
		}},
		{"a lister", access.Rule{Action: access.List, Pattern: "*"}, map[string]outcome{
			"view": {false, nil}, "read": {true, []string{"get denied"}},
			"put": {true, []string{"put denied"}}, "due": {true, []string{"due denied"}},
		}},
		{"a writer", access.Rule{Action: access.Write, Pattern: "prod/a"}, map[string]outcome{
			"view": {true, []string{"view denied"}}, "read": {true, []string{"get denied"}},
			"put": {false, []string{"put ok"}}, "due": {true, []string{"due denied"}},
		}},
		{"who may do everything elsewhere", access.Rule{Action: access.Admin, Pattern: "test/*"}, map[string]outcome{
			"view": {true, []string{"view denied"}}, "read": {true, []string{"get denied"}},
			"put": {true, []string{"put denied"}}, "due": {true, []string{"due denied"}},
		}},
		{"an administrator", access.Rule{Action: access.Admin, Pattern: "*"}, map[string]outcome{
			"view": {false, nil}, "read": {false, []string{"get ok"}}, "put": {false, []string{"put ok"}}, "due": {false, nil},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := map[string]outcome{}
			for name, call := range calls {
				m := &record.Memory{Now: func() time.Time { return now }}
				fill(t, m, "prod/a")
				err := call(t, record.Guard(m, func() time.Time { return now })(caller(test.rule)))
				if err != nil && !errors.Is(err, access.ErrDenied) {
					t.Errorf("%s: %v", name, err)
				}
				o := outcome{denied: err != nil}
				for _, e := range m.Entries("") {
					if e.Actor != "app/orders" || e.From != "192.0.2.7" || !e.At.Equal(now) {
						t.Errorf("%s: entry %+v", name, e)
					}
					o.entries = append(o.entries, e.Step+" "+string(e.Outcome))
				}
				got[name] = o
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func fill(t *testing.T, m *record.Memory, name string) {
	t.Helper()
	text := "hush"
	err := m.Update(t.Context(), name, func(c *record.Change) error {
		c.Versions = []record.Version{{ID: "v", Labels: []string{"AWSCURRENT"}}}
		c.Put("v", record.Value{Text: &text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAListShowsWhatTheCallerMayList(t *testing.T) {
	m := &record.Memory{}
	for _, name := range []string{"prod/a", "prod/b", "test/a", "test/b", "zone/a"} {
		fill(t, m, name)
	}
	g := record.Guard(m, nil)(caller(access.Rule{Action: access.List, Pattern: "test/*"}))
	var got []string
	p := record.Page{Limit: 2}
	for range 10 {
		page, next, err := g.List(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			got = append(got, r.Name)
		}
		if next == (record.Cursor{}) {
			break
		}
		p.After = next
	}
	if diff := cmp.Diff([]string{"test/a", "test/b"}, got); diff != "" {
		t.Error(diff)
	}
}

// broken records refuse to write anything.
type broken struct{ record.Records }

var errDisk = errors.New("disk full")

func TestNoValueWithoutAnAuditEntry(t *testing.T) {
	m := &record.Memory{}
	fill(t, m, "a")
	g := record.Guard(broken{m}, nil)(access.Local("me"))
	_, v, err := g.ReadVersion(t.Context(), "a", func(record.Record) (string, error) { return "v", nil })
	if !errors.Is(err, errDisk) || !v.IsZero() {
		t.Errorf("a value was read, or %v", err)
	}
	denied := record.Guard(broken{m}, nil)(caller())
	if _, err := denied.View(t.Context(), "a"); !errors.Is(err, access.ErrDenied) || !errors.Is(err, errDisk) {
		t.Errorf("error %v, want both the refusal and the failure", err)
	}
	if entries := m.Entries("a"); len(entries) != 0 {
		t.Errorf("entries %v", entries)
	}
}

func (broken) Record(context.Context, ...rotation.Entry) error { return errDisk }

func (broken) Value(context.Context, string, string, ...rotation.Entry) (record.Value, error) {
	return record.Value{}, errDisk
}

// replaced is a secret whose current version is replaced and the old one
// deleted, each time between viewing it and reading the value.
type replaced struct {
	record.Records
	times   int
	current string
}

func (r *replaced) View(context.Context, string) (record.Record, error) {
	shown := r.current
	if r.times > 0 {
		r.times--
		r.current += "'"
	}
	return record.Record{Name: "a", Versions: []record.Version{{ID: shown}}}, nil
}

func (r *replaced) Value(_ context.Context, _, version string, _ ...rotation.Entry) (record.Value, error) {
	if version != r.current {
		return record.Value{}, record.ErrNotFound
	}
	return record.Value{Text: &version}, nil
}

func TestAVersionReplacedDuringAReadIsLookedUpAgain(t *testing.T) {
	reader := caller(access.Rule{Action: access.Read, Pattern: "*"})
	latest := func(r record.Record) (string, error) { return r.Versions[0].ID, nil }
	g := record.Guard(&replaced{times: 3, current: "v"}, nil)(reader)
	if _, v, err := g.ReadVersion(t.Context(), "a", latest); err != nil || *v.Text != "v'''" {
		t.Errorf("got %v, %v", v, err)
	}
	gone := func(record.Record) (string, error) { return "of old", nil }
	if _, _, err := g.ReadVersion(t.Context(), "a", gone); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("a version that is not there: %v", err)
	}
}
