package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

const ttl = time.Minute

func acquire(t testing.TB, db *DB, secret, holder string) rotation.Lease {
	t.Helper()
	l, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: secret, Holder: holder, TTL: ttl})
	must(t, err)
	return l
}

func TestLeases(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		type world struct {
			db    *DB
			clock *clock
		}
		tests := []struct {
			name  string
			given func(t *testing.T, w world) rotation.Lease // the lease to try
			save  error                                      // the result of saving with it
			take  error                                      // the result of another holder's attempt after that
		}{
			{
				name:  "a fresh lease saves and keeps others out",
				given: func(t *testing.T, w world) rotation.Lease { return acquire(t, w.db, "s", "a") },
				take:  rota.ErrBusy,
			},
			{
				name: "a lease that ran out saves while nobody took the secret, and is prolonged",
				given: func(t *testing.T, w world) rotation.Lease {
					l := acquire(t, w.db, "s", "a")
					w.clock.advance(2 * ttl)
					return l
				},
				take: rota.ErrBusy,
			},
			{
				name: "a lease that another took after it ran out is fenced",
				given: func(t *testing.T, w world) rotation.Lease {
					l := acquire(t, w.db, "s", "a")
					w.clock.advance(ttl)
					acquire(t, w.db, "s", "c")
					return l
				},
				save: rota.ErrFenced, take: rota.ErrBusy,
			},
			{
				name: "a lease that was given back is fenced and free",
				given: func(t *testing.T, w world) rotation.Lease {
					l := acquire(t, w.db, "s", "a")
					must(t, w.db.Journal().Release(t.Context(), l))
					return l
				},
				save: rota.ErrFenced,
			},
			{
				name: "the same holder's older lease is fenced",
				given: func(t *testing.T, w world) rotation.Lease {
					l := acquire(t, w.db, "s", "a")
					acquire(t, w.db, "s", "a")
					return l
				},
				save: rota.ErrFenced, take: rota.ErrBusy,
			},
			{
				name: "a lease nobody gave is fenced",
				given: func(t *testing.T, w world) rotation.Lease {
					return rotation.Lease{Secret: "s", Holder: "a", Fence: 7, TTL: ttl}
				},
				save: rota.ErrFenced,
			},
			{
				name: "giving a lost lease back takes nothing from its new holder",
				given: func(t *testing.T, w world) rotation.Lease {
					old := acquire(t, w.db, "s", "a")
					w.clock.advance(ttl)
					l := acquire(t, w.db, "s", "c")
					must(t, w.db.Journal().Release(t.Context(), old))
					return l
				},
				take: rota.ErrBusy,
			},
			{
				name: "fences rise after a lease was given back",
				given: func(t *testing.T, w world) rotation.Lease {
					old := acquire(t, w.db, "s", "a")
					must(t, w.db.Journal().Release(t.Context(), old))
					l := acquire(t, w.db, "s", "c")
					if l.Fence <= old.Fence {
						t.Errorf("fence %d after %d", l.Fence, old.Fence)
					}
					return l
				},
				take: rota.ErrBusy,
			},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				c := newClock()
				db := openAt(t, newDir(t), c.now)
				l := tt.given(t, world{db, c})
				err := db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: rotation.Progress{Held: "saved"},
					Entries: []rotation.Entry{{Secret: "s", Step: "set"}}})
				if !errors.Is(err, tt.save) {
					t.Errorf("save: %v, want %v", err, tt.save)
				}
				snapshot, err := db.Journal().Load(t.Context(), "s")
				p := snapshot.Progress
				must(t, err)
				entries, err := db.Audit().Read(t.Context(), AuditQuery{})
				must(t, err)
				if saved := tt.save == nil; saved != (p.Held == "saved") || saved != (len(entries) == 1) {
					t.Errorf("saved: %v; progress %v, %d audit entries", saved, p, len(entries))
				}
				if _, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "b", TTL: ttl}); !errors.Is(err, tt.take) {
					t.Errorf("another holder: %v, want %v", err, tt.take)
				}
			})
		}
	})
}

func TestALeaseNeedsItsFields(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		for _, r := range []rotation.AcquireRequest{
			{Holder: "a", TTL: ttl}, {Secret: "s", TTL: ttl}, {Secret: "s", Holder: "a"}, {Secret: "s", Holder: "a", TTL: -ttl},
		} {
			if _, err := db.Journal().Acquire(t.Context(), r); err == nil {
				t.Errorf("%+v was granted", r)
			}
		}
	})
}

// full is progress with something in each of its parts.
func full(now time.Time) rotation.Progress {
	return rotation.Progress{
		Versions: map[string]rotation.VersionProgress{"v1": {CredentialID: "AKIA1", SetAt: now, Delivered: map[string]time.Time{"gitlab": now}}},
		Intents:  []rotation.Intent{{Version: "v2", At: now, Until: now.Add(time.Minute), Known: []string{"AKIA1"}}},
		Failure:  &rotation.Failure{Step: rota.StepDeliver, Class: rota.ClassWait, Error: "no route", At: now, Attempts: 3, RetryAt: now.Add(time.Hour)},
		Rollback: &rotation.RollbackIntent{From: "v2", To: "v1", At: now},
		Unsent:   []rotation.Unsent{{Notifier: "slack", Event: rota.Event{ID: "e", Kind: rota.EventFailed, Secret: "s", At: now}}},
		NextAt:   now.Add(time.Hour),
		Status: rotation.Status{LookedAt: now, Version: "v1", Credential: "AKIA1", IssuedAt: now.Add(-time.Hour), Next: rota.StepDeliver,
			PreviousID: "AKIA0", PreviousOff: true, RotateAt: now.Add(2 * time.Hour),
			DueAt: now, NextAt: now.Add(time.Hour), Hold: rotation.HoldInUse, Reason: "a person's words"},
	}
}

func TestProgressComesBackAsSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		snapshot, err := db.Journal().Load(t.Context(), "s")
		none := snapshot.Progress
		must(t, err)
		if diff := cmp.Diff(rotation.Progress{}, none); diff != "" {
			t.Errorf("progress of a secret never seen (-want +got):\n%s", diff)
		}
		l := acquire(t, db, "s", "a")
		for _, want := range []rotation.Progress{full(c.now()), {}} {
			must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: want}))
			snapshot, err := db.Journal().Load(t.Context(), "s")
			got := snapshot.Progress
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("progress (-want +got):\n%s", diff)
			}
			statuses, err := db.Overview().Statuses(t.Context())
			must(t, err)
			if diff := cmp.Diff([]SecretStatus{{Name: "s", Status: want.Status, Failure: want.Failure, NextAt: want.NextAt, Holder: "a"}}, statuses); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		}
		c.advance(2 * ttl)
		statuses, err := db.Overview().Statuses(t.Context())
		must(t, err)
		if len(statuses) != 1 || statuses[0].Holder != "" {
			t.Errorf("a lease that ran out still names its holder: %v", statuses)
		}
	})
}

func BenchmarkStatuses(b *testing.B) {
	c := newClock()
	db := openAt(b, newDir(b), c.now)
	fill(b, db, 100_000, full(c.now()))
	for b.Loop() {
		all, err := db.Overview().Statuses(b.Context())
		must(b, err)
		if len(all) != 100_000 {
			b.Fatalf("%d statuses", len(all))
		}
	}
}

// fill gives n secrets the same progress.
func fill(b testing.TB, db *DB, n int, p rotation.Progress) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		parallel(b, min(1000, n-from), func(i int) error {
			l, err := db.Journal().Acquire(b.Context(), rotation.AcquireRequest{Secret: fmt.Sprintf("prod/secret-%06d", from+i), Holder: "a", TTL: ttl})
			if err != nil {
				return err
			}
			return db.Journal().Save(b.Context(), rotation.SaveRequest{Lease: l, Progress: p})
		})
	}
}
