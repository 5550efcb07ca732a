package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

func TestEnrolledSecretsAreListedInPages(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		db := openAt(t, newDir(t), func() time.Time { return now })
		enroll := func(names ...string) {
			t.Helper()
			prints := map[string]string{}
			for _, n := range names {
				prints[n] = "print"
			}
			_, err := db.Queue().Enroll(t.Context(), prints)
			must(t, err)
		}
		enroll("a", "b", "c", "gone")
		enroll("a", "b", "c")
		must(t, db.Queue().Pause(t.Context(), []string{"b"}, access.Local("ann"), "the audit"))
		save := func(name string, p rotation.Progress) {
			t.Helper()
			lease, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: name, Holder: "w", TTL: time.Minute})
			must(t, err)
			must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: lease, Progress: p}))
		}
		next := now.Add(time.Hour)
		save("a", rotation.Progress{NextAt: next, Status: rotation.Status{Reason: `no event: "unsent":[{`}})
		event := rota.Event{ID: "e", Kind: rota.EventFailed, Secret: "c", At: now}
		save("c", rotation.Progress{Unsent: []rotation.Unsent{{Notifier: "ops", Event: event}}})

		paused := &rotation.Halt{By: "ann", Why: "the audit", At: now}
		want := []EnrolledSecret{
			{SecretStatus: SecretStatus{Name: "a", Status: rotation.Status{Reason: `no event: "unsent":[{`}, NextAt: next, Holder: "w"}},
			{SecretStatus: SecretStatus{Name: "b"}, Paused: paused},
			{SecretStatus: SecretStatus{Name: "c", Holder: "w"}, Unsent: true},
		}
		var got []EnrolledSecret
		for after := ""; ; after = got[len(got)-1].Name {
			page, err := db.Overview().Enrolled(t.Context(), after, 2)
			must(t, err)
			got = append(got, page...)
			if len(page) < 2 {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOutboxBacklogAndAuditLength(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		db := openAt(t, newDir(t), func() time.Time { return now })
		if kept, err := db.Overview().OutboxBacklog(t.Context()); err != nil || len(kept) != 0 {
			t.Errorf("%v, %v, want nothing", kept, err)
		}
		before, err := db.Audit().End(t.Context())
		must(t, err)
		for i, e := range []struct{ notifier, id string }{{"ops", "1"}, {"ops", "2"}, {"dev", "1"}} {
			now = now.Add(time.Duration(i) * time.Minute)
			must(t, db.Outbox().Keep(t.Context(), e.notifier, rota.Event{ID: e.id, At: now}))
		}
		kept, err := db.Overview().OutboxBacklog(t.Context())
		must(t, err)
		first := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		if diff := cmp.Diff([]OutboxBacklog{{"dev", 1, first.Add(3 * time.Minute)}, {"ops", 2, first}}, kept); diff != "" {
			t.Error(diff)
		}
		must(t, db.Audit().Record(t.Context(), rotation.Entry{Step: "x"}, rotation.Entry{Step: "y"}))
		if end, err := db.Audit().End(t.Context()); err != nil || end != before+2 {
			t.Errorf("%d entries, %v, want %d", end, err, before+2)
		}
	})
}
