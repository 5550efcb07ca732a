package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rota"
)

// receiver takes events, or does not.
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
		digest := func() *rota.Digester {
			return &rota.Digester{Notifier: to, Every: 24 * time.Hour, Outbox: db.Outbox(), Now: clock}
		}
		flush := func(want int) {
			t.Helper()
			must(t, digest().Flush(t.Context()))
			if len(to.got) != want {
				t.Fatalf("%d messages, want %d", len(to.got), want)
			}
		}
		flush(0)
		for i, id := range []string{"a", "b", "a"} { // one is told twice
			must(t, digest().Notify(t.Context(), rota.Event{ID: id, Kind: rota.Held, Secret: "s" + id, At: now.Add(time.Duration(i) * time.Second)}))
			now = now.Add(time.Hour)
		}
		flush(0)
		must(t, db.Close())
		db = openAt(t, dir, clock)
		now = now.Add(21 * time.Hour)
		to.sick = true
		if err := digest().Flush(t.Context()); err == nil {
			t.Fatal("the receiver was sick")
		}
		to.sick = false
		flush(1)
		m := to.got[0]
		if m.Kind != rota.Digest || len(m.Events) != 2 || m.Events[0].ID != "a" || m.Events[1].ID != "b" || m.ID == "" {
			t.Errorf("it is %+v", m)
		}
		if !strings.Contains(m.Text(), "sb: held") || m.Title() != "Rota: 2 events" {
			t.Errorf("it says %q: %s", m.Title(), m.Text())
		}
		flush(1)
	})
}
