package store

import (
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// turnBy requests a turn for a configuration, enrolled or not.
func turnBy(configuration string, isDue bool) rotation.AcquireRequest {
	return rotation.AcquireRequest{Secret: "a", Holder: "by " + configuration, TTL: ttl, Configuration: configuration, Due: isDue}
}

func TestDecisionsOfAnotherConfigurationAreMadeAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		for _, tt := range []struct {
			name  string
			begin rotation.AcquireRequest
			edit  string // enrolled while the turn is under way; "" for nothing
			due   bool   // after it
		}{
			{"by the enrolled one", turnBy("new", true), "", false},
			{"by the enrolled one, which is replaced", turnBy("new", true), "newer", true},
			{"by the enrolled one, asked for", turnBy("new", false), "", false},
			{"by another one, asked for", turnBy("old", false), "", true},
			{"by none that is known", turnBy("", true), "", false},
			{"by none that is known, which is replaced", turnBy("", false), "newer", true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				db := openAt(t, newDir(t), c.now)
				enrol := func(fingerprint string) {
					_, err := db.Queue().Enroll(t.Context(), map[string]string{"a": fingerprint})
					must(t, err)
				}
				enrol("old")
				keep(t, db, "a", rotation.Progress{NextAt: c.now().Add(5 * time.Hour)})
				enrol("new")
				l, err := db.Journal().Acquire(t.Context(), tt.begin)
				must(t, err)
				snapshot, err := db.Journal().Load(t.Context(), "a")
				p := snapshot.Progress
				must(t, err)
				if !p.NextAt.IsZero() {
					t.Errorf("to be looked at again at %s, though it is configured otherwise", p.NextAt)
				}
				if tt.edit != "" {
					enrol(tt.edit)
				}
				later := rotation.Progress{NextAt: c.now().Add(5 * time.Hour)}
				must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: later}))
				must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: later, Release: true}))
				if got := len(due(t, db, c.now(), 10)) == 1; got != tt.due {
					t.Errorf("due after it: %v, want %v", got, tt.due)
				}
				keep(t, db, "a", later)
				if n := len(due(t, db, c.now(), 10)); n != 0 {
					t.Error("still due after the next turn")
				}
			})
		}
	})
}

func TestDueWorkIsLeftToReplicasWithTheEnrolledConfiguration(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		refused := func(want bool) {
			t.Helper()
			l, err := db.Journal().Acquire(t.Context(), turnBy("old", true))
			if errors.Is(err, rota.ErrOtherConfiguration) != want || (err == nil) == want {
				t.Fatalf("a turn by the old configuration: %v, want it refused: %v", err, want)
			}
			if err == nil {
				must(t, db.Journal().Release(t.Context(), l))
			}
		}
		refused(false) // nothing is enrolled
		_, err := db.Queue().Enroll(t.Context(), map[string]string{"a": "new"})
		must(t, err)
		refused(true)
		held, err := db.Journal().Acquire(t.Context(), turnBy("new", true))
		must(t, err)
		refused(true)
		must(t, db.Journal().Release(t.Context(), held))
		if got := due(t, db, c.now(), 10); len(got) != 1 {
			t.Errorf("due: %v, want it still", got)
		}
		_, err = db.Queue().Enroll(t.Context(), map[string]string{})
		must(t, err)
		refused(false) // no longer configured anywhere
	})
}
