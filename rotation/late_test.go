package rotation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

func TestWhenSomethingIsLate(t *testing.T) {
	after := rotation.Policy{}.WithDefaults().LateAfter
	now := at(10)
	on := func(d time.Duration) time.Time { return now.Add(-after - d) }
	for name, test := range map[string]struct {
		status rotation.Status
		due    time.Time
		late   bool
	}{
		"it was never looked at":                  {rotation.Status{DueAt: on(rota.Day)}, time.Time{}, true},
		"nothing is due":                          {rotation.Status{LookedAt: now}, time.Time{}, false},
		"it was due just so long ago":             {rotation.Status{LookedAt: now, DueAt: on(0)}, time.Time{}, false},
		"it was due longer ago":                   {rotation.Status{LookedAt: now, DueAt: on(1)}, on(1), true},
		"the policy wanted the next one":          {rotation.Status{LookedAt: now, RotateAt: on(1)}, on(1), true},
		"what began never finished":               {rotation.Status{LookedAt: now, BegunAt: on(1)}, on(1), true},
		"the first of several that are late":      {rotation.Status{LookedAt: now, DueAt: on(2), RotateAt: on(3), BegunAt: on(1)}, on(3), true},
		"the first comes last":                    {rotation.Status{LookedAt: now, DueAt: on(2), RotateAt: on(1), BegunAt: on(3)}, on(3), true},
		"one is late, and another only due later": {rotation.Status{LookedAt: now, DueAt: on(-time.Hour), RotateAt: on(1)}, on(1), true},
		"it's due, and begins in time":            {rotation.Status{LookedAt: now, DueAt: on(-time.Hour), BegunAt: now}, time.Time{}, false},
	} {
		if due, late := rotation.Lateness(test.status, rotation.Policy{}, now); !due.Equal(test.due) || late != test.late {
			t.Errorf("%s: %t, due %s", name, late, due)
		}
	}
}

// What's late is told once, with what a person can do, and by whoever is first.
func TestAnAlertIsRaisedOnceForEachDate(t *testing.T) {
	b := newBench(t)
	alerts := func(want int, reason string, action rota.RemedyAction) {
		t.Helper()
		for range 2 {
			if late, err := b.rotator.Alert(t.Context(), b.secret); err != nil || late != (want > 0) {
				t.Fatalf("late %t: %v", late, err)
			}
		}
		if got := b.told(rota.EventLate); got != want {
			t.Fatalf("%d alerts, want %d", got, want)
		}
		if want == 0 {
			return
		}
		last := b.notifier.Events()[len(b.notifier.Events())-1]
		if !strings.Contains(last.Reason, reason) || !last.At.Equal(b.now) || len(last.Remedies) == 0 || last.Remedies[0].Action != action {
			t.Errorf("it says %+v", last)
		}
	}
	alerts(1, "it has never been looked at", rota.RemedyRun)
	b.advance(t, rotation.Options{})
	if late, err := b.rotator.Alert(t.Context(), b.secret); late || err != nil {
		t.Errorf("after a turn: %t, %v", late, err)
	}
	// A hold with a remedy of its own.
	b.days(90)
	if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.Keys()[0].ID}); err != nil {
		t.Fatal(err)
	}
	b.advance(t, rotation.Options{})
	b.days(2)
	alerts(2, "create has been due since", rota.RemedyOutside)
	// A journal that can't be read is an error, and not late.
	b.faults.Next("journal.load", memory.Fault{Before: errors.New("no")})
	if late, err := b.rotator.Alert(t.Context(), b.secret); late || err == nil {
		t.Errorf("without a journal: %t, %v", late, err)
	}
}

// While the loop that is late holds the lease, the alert goes out all the same, to those
// who want it.
func TestAnAlertNeedsNoLease(t *testing.T) {
	b := newBench(t)
	o := memory.Options{Now: b.rotator.Now, Faults: b.fault}
	other := memory.NewNotifier("other", o)
	b.secret.Notifiers = []rota.Notifier{choosyNotifier{other}, b.notifier}
	if _, err := b.journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: b.secret.Name, Holder: "the loop", TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if late, err := b.rotator.Alert(t.Context(), b.secret); !late || err != nil || b.told(rota.EventLate) != 1 {
		t.Errorf("late %t: %v, %d alerts", late, err, b.told(rota.EventLate))
	}
	if diff := cmp.Diff(0, len(other.Events())); diff != "" {
		t.Errorf("who doesn't want it got %s", diff)
	}
	b.faults.Next("notifier.notify", memory.Fault{Before: errors.New("503")})
	if _, err := b.rotator.Alert(t.Context(), b.secret); err == nil {
		t.Error("nobody hears that it wasn't sent")
	}
}

// choosyNotifier wants to hear of nothing that's late.
type choosyNotifier struct{ rota.Notifier }

func (choosyNotifier) Wants(k rota.EventKind) bool { return k != rota.EventLate }
