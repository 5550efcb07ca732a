package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// receiver accepts events, or rejects them.
type receiver struct {
	got  []rota.Event
	sick bool
}

func (r *receiver) Name() string { return "ops" }

func (r *receiver) Notify(_ context.Context, e rota.Event) error {
	if r.sick {
		return errors.New("sick")
	}
	r.got = append(r.got, e)
	return nil
}

func TestADigestIsSentOnceAndSurvivesARestart(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		clock := func() time.Time { return now }
		db := openAt(t, dir, clock)
		to := &receiver{}
		digest := func() *rotation.Digester {
			return &rotation.Digester{Notifier: to, Every: 24 * time.Hour, Outbox: db.Outbox(), Now: clock}
		}
		flush := func(want int) {
			t.Helper()
			must(t, digest().Flush(t.Context()))
			if len(to.got) != want {
				t.Fatalf("%d messages, want %d", len(to.got), want)
			}
		}
		flush(0)
		for i, id := range []string{"a", "b", "a"} { // one is reported twice
			must(t, digest().Notify(t.Context(), rota.Event{ID: id, Kind: rota.EventHeld, Secret: "s" + id, At: now.Add(time.Duration(i) * time.Second)}))
			now = now.Add(time.Hour)
		}
		flush(0)
		must(t, db.Close())
		db = openAt(t, dir, clock)
		now = now.Add(21 * time.Hour)
		to.sick = true
		sick := digest()
		for _, want := range []bool{true, false} { // the second finds that it is too early to try again
			if err := sick.Flush(t.Context()); (err != nil) != want {
				t.Fatalf("the receiver is sick: %v", err)
			}
		}
		to.sick = false
		flush(0) // the first may still be sending
		now = now.Add(time.Minute)
		flush(1)
		m := to.got[0]
		if m.Kind != rota.EventDigest || len(m.Events) != 2 || m.Events[0].ID != "a" || m.Events[1].ID != "b" || m.ID == "" {
			t.Errorf("it is %+v", m)
		}
		if !strings.Contains(m.Text(), "sb: held") || m.Title() != "Rota: 2 events" {
			t.Errorf("it says %q: %s", m.Title(), m.Text())
		}
		flush(1)
		now = now.Add(48 * time.Hour)
		flush(1)
		var outcomes []rotation.Outcome
		entries, err := db.Audit().Read(t.Context(), AuditQuery{Secret: rotation.Digests, Limit: 10})
		must(t, err)
		for _, e := range entries {
			outcomes = append(outcomes, e.Entry.Outcome)
		}
		if want := []rotation.Outcome{rotation.OutcomeFailed, rotation.OutcomeSucceeded}; !slices.Equal(outcomes, want) {
			t.Errorf("the audit has %v, want %v", outcomes, want)
		}
	})
}

func TestADigestIsSentByOneOfSeveralProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		db := openAt(t, newDir(t), func() time.Time { return now })
		var mu sync.Mutex
		got := 0
		to := notifierFunc(func(rota.Event) error {
			mu.Lock()
			defer mu.Unlock()
			got++
			return nil
		})
		digest := func() *rotation.Digester {
			return &rotation.Digester{Notifier: to, Every: time.Hour, Outbox: db.Outbox(), Now: func() time.Time { return now }}
		}
		must(t, digest().Notify(t.Context(), rota.Event{ID: "a", Kind: rota.EventFailed, Secret: "s", At: now}))
		now = now.Add(time.Hour)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if err := digest().Flush(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got != 1 {
			t.Errorf("%d messages, want one", got)
		}
	})
}

func TestTheOutboxIsBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		db := openAt(t, newDir(t), func() time.Time { return now })
		must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
			for i := range maxBacklog + 2 {
				tx.enqueue(sqlInsertEvent, "ops", fmt.Sprintf("%06d", i), micros(now), `{"id":"`+fmt.Sprintf("%06d", i)+`"}`)
			}
			return nil
		}))
		taken, err := db.Outbox().Take(t.Context(), rotation.TakeRequest{Notifier: "ops", KeptBy: now, For: time.Minute})
		must(t, err)
		if taken.Lost != 2 || len(taken.Events) != maxDigest || taken.Events[0].ID != "000002" {
			t.Errorf("%d are lost, %d were given", taken.Lost, len(taken.Events))
		}
		entries, err := db.Audit().Read(t.Context(), AuditQuery{Secret: rotation.Digests, Limit: 10})
		must(t, err)
		if len(entries) != 1 || entries[0].Entry.Outcome != rotation.OutcomeFailed {
			t.Errorf("the audit has %+v", entries)
		}
	})
}

// notifierFunc is a notifier.
type notifierFunc func(rota.Event) error

func (notifierFunc) Name() string { return "ops" }

func (f notifierFunc) Notify(_ context.Context, e rota.Event) error { return f(e) }
