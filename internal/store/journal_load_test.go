package store

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

func TestASnapshotHasEverythingKeptAboutASecret(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		enroll(t, db, "a", "b")
		peer := rotation.Status{Version: "v1", IssuedAt: c.now(), RotateAt: c.now().Add(time.Hour)}
		keep(t, db, "b", rotation.Progress{Status: peer})
		must(t, db.MarkRestored(t.Context()))
		progress := rotation.Progress{Rejections: 3, NextAt: c.now().Add(time.Hour), Status: rotation.Status{Version: "v2"}}
		keep(t, db, "a", progress)
		must(t, db.Queue().Pause(t.Context(), []string{"a"}, access.Local("eve"), "a migration"))
		must(t, db.Queue().Freeze(t.Context(), access.Local("bob"), "an incident"))
		got, err := db.Journal().Load(t.Context(), "a", "b", "never seen")
		must(t, err)
		want := rotation.Snapshot{
			Progress: progress,
			Halts: rotation.Halts{
				Paused: &rotation.Halt{By: "eve", Why: "a migration", At: c.now()},
				Frozen: &rotation.Halt{By: "bob", Why: "an incident", At: c.now()},
			},
			RestoredAt: c.now(),
			Peers:      map[string]rotation.Status{"b": peer},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("snapshot (-want +got):\n%s", diff)
		}
		// A freeze also applies to a secret that isn't enrolled.
		unseen, err := db.Journal().Load(t.Context(), "never seen")
		must(t, err)
		want = rotation.Snapshot{Halts: rotation.Halts{Frozen: want.Halts.Frozen}, RestoredAt: c.now()}
		if diff := cmp.Diff(want, unseen); diff != "" {
			t.Errorf("snapshot of a secret never seen (-want +got):\n%s", diff)
		}
	})
}

// A load with two reads would eventually see half a transaction.
func TestASnapshotIsConsistent(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		enroll(t, db, "a", "b")
		flip := func(halt, status string) error {
			return db.writer.do(t.Context(), haltLock, func(t *tx) error {
				t.enqueue(sqlPause, "a", halt)
				t.enqueue(`UPDATE progress SET status = $1 WHERE secret = 'b'`, status)
				if halt == "" {
					t.enqueue(sqlThaw)
				} else {
					t.enqueue(sqlFreeze, halt)
				}
				return nil
			})
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for halt, status := range map[string]string{"": `{}`, `{"by":"eve"}`: `{"version":"v1"}`} {
					if err := flip(halt, status); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		for range 1000 {
			got, err := db.Journal().Load(t.Context(), "a", "b")
			must(t, err)
			paused, frozen, changed := got.Halts.Paused != nil, got.Halts.Frozen != nil, got.Peers["b"].Version != ""
			if paused != frozen || paused != changed {
				t.Errorf("paused %v, frozen %v, the peer changed %v: want all or none", paused, frozen, changed)
				break
			}
		}
		close(stop)
		wg.Wait()
	})
}
