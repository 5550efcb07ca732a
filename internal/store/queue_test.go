package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// enroll makes secrets configured, each with its name as its fingerprint.
func enroll(t testing.TB, db *DB, names ...string) Enrollment {
	t.Helper()
	configured := map[string]string{}
	for _, n := range names {
		configured[n] = n
	}
	e, err := db.Queue().Enroll(t.Context(), configured)
	must(t, err)
	return e
}

// keep saves a progress under a lease of its own.
func keep(t testing.TB, db *DB, name string, p rotation.Progress) {
	t.Helper()
	l := acquire(t, db, name, "a")
	must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: p}))
	must(t, db.Journal().Release(t.Context(), l))
}

// due lists what is due at a time, by name.
func due(t testing.TB, db *DB, at time.Time, limit int) []string {
	t.Helper()
	var all []string
	q := rotation.DueQuery{Now: at, Limit: limit}
	for {
		page, err := db.Queue().Due(t.Context(), q)
		must(t, err)
		for _, d := range page {
			all = append(all, d.Secret)
		}
		if len(page) < limit {
			return all
		}
		q.After = page[len(page)-1]
	}
}

func TestDue(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
			c := newClock()
			db := openAt(t, newDir(t), c.now)
			now := c.now()
			times := map[string]time.Time{
				"late": now.Add(-time.Hour), "later": now.Add(-2 * time.Hour), "at once": {}, "just now": now,
				"by a nanosecond too early": now.Add(time.Nanosecond), "tomorrow": now.Add(24 * time.Hour), "of old": {},
			}
			enroll(t, db, "late", "later", "at once", "just now", "by a nanosecond too early", "tomorrow", "at work", "new")
			for name, next := range times {
				keep(t, db, name, rotation.Progress{NextAt: next})
			}
			acquire(t, db, "at work", "a")
			for _, tt := range []struct {
				name string
				at   time.Time
				want []string
			}{
				{"now", now, []string{"at once", "new", "later", "late", "just now"}},
				{"a second later", now.Add(time.Second), []string{"at once", "new", "later", "late", "just now", "by a nanosecond too early"}},
				{"when the lease is over", now.Add(2 * ttl), []string{"at once", "at work", "new", "later", "late", "just now", "by a nanosecond too early"}},
			} {
				t.Run(tt.name, func(t *testing.T) {
					for _, page := range []int{1, 2, 100} {
						if diff := cmp.Diff(tt.want, due(t, db, tt.at, page)); diff != "" {
							t.Errorf("in pages of %d (-want +got):\n%s", page, diff)
						}
					}
				})
			}
			next, err := db.Queue().NextDue(t.Context(), now.Add(time.Second))
			must(t, err)
			if !next.Equal(times["tomorrow"]) {
				t.Errorf("next due at %v, want tomorrow", next)
			}
		})
	})
}

func TestTheEnginesQueriesUseTheirIndexes(t *testing.T) {
	db := openAt(t, newDir(t), nil)
	for _, tt := range []struct {
		name, query, want string
		args              []any
	}{
		{"due", sqlDue, "USING INDEX progress_due", []any{1, 1, 0, "", 1}},
		{"next due", sqlNextDue, "INDEX progress_due", []any{1}},
		{"overdue", sqlOverdue, "USING INDEX progress_overdue", []any{1, "", 1}},
		{"paused", sqlPaused, "USING INDEX progress_paused", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := db.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+tt.query, tt.args...)
			must(t, err)
			var plan strings.Builder
			for rows.Next() {
				var id, parent, unused int
				var line string
				must(t, rows.Scan(&id, &parent, &unused, &line))
				plan.WriteString(line + "\n")
			}
			must(t, errors.Join(rows.Err(), rows.Close()))
			if !strings.Contains(plan.String(), tt.want) {
				t.Errorf("plan:\n%swant %q", plan.String(), tt.want)
			}
		})
	}
}

func TestEnroll(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
			c := newClock()
			db := openAt(t, newDir(t), c.now)
			later := rotation.Progress{NextAt: c.now().Add(time.Hour)}
			set := func(configured map[string]string, changed, gone int) {
				t.Helper()
				e, err := db.Queue().Enroll(t.Context(), configured)
				must(t, err)
				if want := (Enrollment{Changed: changed, Removed: gone}); e != want {
					t.Errorf("enrolled %+v, want %+v", e, want)
				}
			}
			set(map[string]string{"a": "1", "b": "1", "c": "1"}, 3, 0)
			for _, name := range []string{"a", "b", "c"} {
				keep(t, db, name, later)
			}
			set(map[string]string{"a": "1", "b": "1", "c": "1"}, 0, 0)
			if got := due(t, db, c.now(), 10); got != nil {
				t.Errorf("due: %v, and nothing was changed", got)
			}
			set(map[string]string{"a": "1", "b": "2", "d": "1"}, 2, 1)
			if diff := cmp.Diff([]string{"b", "d"}, due(t, db, c.now(), 10)); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"b", "d", "a"}, due(t, db, c.now().Add(time.Hour), 10)); diff != "" {
				t.Errorf("due an hour later, without the one that is gone (-want +got):\n%s", diff)
			}
			snapshot, err := db.Journal().Load(t.Context(), "c")
			p := snapshot.Progress
			must(t, err)
			if !p.NextAt.Equal(later.NextAt) {
				t.Error("what is known of the one that is gone was not kept")
			}
			set(map[string]string{"a": "1", "b": "2", "c": "1", "d": "1"}, 1, 0)
			if diff := cmp.Diff([]string{"b", "c", "d"}, due(t, db, c.now(), 10)); diff != "" {
				t.Errorf("due when it is back (-want +got):\n%s", diff)
			}
		})
	})
}

func TestAChangedConfigurationLiftsAQuarantine(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
			c := newClock()
			quarantined := rotation.Progress{Failure: &rotation.Failure{Step: rota.StepCreate, Attempts: 20}, Rejections: 4, NextAt: c.now().Add(time.Hour)}
			for _, tt := range []struct {
				name string
				lift func(t *testing.T, db *DB)
			}{
				{"by another fingerprint", func(t *testing.T, db *DB) {
					_, err := db.Queue().Enroll(t.Context(), map[string]string{"a": "other"})
					must(t, err)
				}},
				{"by a person", func(t *testing.T, db *DB) {
					must(t, db.Queue().Resume(t.Context(), []string{"a"}, access.Local("eve"), "mended"))
				}},
			} {
				t.Run(tt.name, func(t *testing.T) {
					db := openAt(t, newDir(t), c.now)
					failed := func() bool {
						snapshot, err := db.Journal().Load(t.Context(), "a")
						p := snapshot.Progress
						must(t, err)
						return p.Failure != nil || p.Rejections > 0
					}
					enroll(t, db, "a")
					keep(t, db, "a", quarantined)
					before := acquire(t, db, "a", "under way")
					tt.lift(t, db)
					if failed() {
						t.Error("it is still remembered")
					}
					must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: before, Progress: quarantined}))
					must(t, db.Journal().Release(t.Context(), before))
					if failed() {
						t.Error("a turn that was under way brought it back")
					}
					keep(t, db, "a", quarantined)
					if !failed() {
						t.Error("a failure after that is forgotten too")
					}
				})
			}
		})
	})
}

func TestPauseAndFreeze(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
			c := newClock()
			db := openAt(t, newDir(t), c.now)
			enroll(t, db, "a", "b")
			want := func(names ...string) {
				t.Helper()
				if diff := cmp.Diff(names, due(t, db, c.now(), 10)); diff != "" {
					t.Errorf("due (-want +got):\n%s", diff)
				}
			}
			ctx := t.Context()
			must(t, db.Queue().Pause(ctx, []string{"a"}, access.Local("eve"), "a migration"))
			want("b")
			if err := db.Queue().Pause(ctx, []string{"b", "nobody"}, access.Local("eve"), "typing"); !errors.Is(err, rota.ErrNotFound) {
				t.Errorf("paused an unknown secret: %v", err)
			}
			want("b")
			must(t, db.Queue().Freeze(ctx, access.Local("bob"), "an incident"))
			want()
			kept, err := db.Journal().Load(ctx, "a")
			must(t, err)
			wantHalts := rotation.Halts{
				Paused: &rotation.Halt{By: "eve", Why: "a migration", At: c.now()},
				Frozen: &rotation.Halt{By: "bob", Why: "an incident", At: c.now()},
			}
			if diff := cmp.Diff(wantHalts, kept.Halts); diff != "" {
				t.Errorf("halts (-want +got):\n%s", diff)
			}
			paused, err := db.Queue().Paused(ctx)
			must(t, err)
			if diff := cmp.Diff(map[string]rotation.Halt{"a": *wantHalts.Paused}, paused); diff != "" {
				t.Errorf("paused (-want +got):\n%s", diff)
			}
			must(t, db.Queue().Thaw(ctx, access.Local("bob"), "over"))
			want("b")
			must(t, db.Queue().Resume(ctx, []string{"a"}, access.Local("eve"), "done"))
			want("a", "b")
			if kept, err := db.Journal().Load(ctx, "a"); err != nil || kept.Halts != (rotation.Halts{}) {
				t.Errorf("halts at the end: %+v, %v", kept.Halts, err)
			}
			records, err := db.Audit().Read(ctx, AuditQuery{})
			must(t, err)
			var acts []string
			for _, r := range records {
				acts = append(acts, r.Entry.Actor+" "+r.Entry.Step+" "+r.Entry.Secret+": "+r.Entry.Detail)
			}
			if diff := cmp.Diff([]string{
				"eve pause a: a migration", "bob freeze (all): an incident", "bob thaw (all): over", "eve resume a: done",
			}, acts); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
		})
	})
}

func TestOverdue(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
			c := newClock()
			db := openAt(t, newDir(t), c.now)
			now := c.now()
			ago := now.Add(-time.Hour)
			enroll(t, db, "due", "begun", "told", "later", "idle")
			for name, p := range map[string]rotation.Progress{
				"due":   {Status: rotation.Status{LookedAt: ago, DueAt: ago, RotateAt: now.Add(time.Hour)}},
				"begun": {Status: rotation.Status{LookedAt: ago, BegunAt: ago}},
				"told":  {Status: rotation.Status{LookedAt: ago, DueAt: ago}, LateNotified: ago},
				"later": {Status: rotation.Status{LookedAt: ago, DueAt: now}},
				"idle":  {Status: rotation.Status{LookedAt: ago}},
				"gone":  {Status: rotation.Status{LookedAt: ago, DueAt: ago}},
			} {
				keep(t, db, name, p)
			}
			got, err := db.Queue().Overdue(t.Context(), ago, "", 10)
			must(t, err)
			if diff := cmp.Diff([]string{"begun", "due"}, got); diff != "" {
				t.Errorf("overdue (-want +got):\n%s", diff)
			}
			if got, err = db.Queue().Overdue(t.Context(), ago, "begun", 10); err != nil || !slices.Equal(got, []string{"due"}) {
				t.Errorf("after the first: %v, %v", got, err)
			}
		})
	})
}

// BenchmarkDue1M measures, with a million enrolled secrets of which a thousand
// are due, how long it takes to find those, to enroll everything, and to enroll
// it again, as every start does. MiB is the peak memory for all of this.
// ROTA_BENCH_SECRETS changes the number of secrets.
func BenchmarkDue1M(b *testing.B) {
	count := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("ROTA_BENCH_SECRETS")); err == nil {
		count = n
	}
	b.Run("SQLite", func(b *testing.B) { benchmarkDue(b, openAt(b, newDir(b), nil), count, func() {}) })
	b.Run("PostgreSQL", func(b *testing.B) {
		dir := newPostgresDir(b)
		benchmarkDue(b, openAt(b, dir, nil), count, func() {
			conn, err := pgx.Connect(b.Context(), options(dir, nil).DSN)
			must(b, err)
			_, err = conn.Exec(b.Context(), "VACUUM ANALYZE progress") // as the server does by itself, later
			must(b, errors.Join(err, conn.Close(b.Context())))
		})
	})
}

func benchmarkDue(b *testing.B, db *DB, count int, settle func()) {
	const isDue = 1000
	configured := make(map[string]string, count)
	for i := range count {
		configured[fmt.Sprintf("bench/%08d", i)] = "1"
	}
	begin := time.Now()
	if _, err := db.Queue().Enroll(b.Context(), configured); err != nil {
		b.Fatal(err)
	}
	enrolled := time.Since(begin)
	begin = time.Now()
	if e, err := db.Queue().Enroll(b.Context(), configured); err != nil || e != (Enrollment{}) {
		b.Fatal(e, err)
	}
	again := time.Since(begin)
	now := time.Now()
	name := func(i int) string { return fmt.Sprintf("bench/%08d", i) }
	for i := 0; i < count; i += 100_000 {
		must(b, db.writer.do(b.Context(), "", func(t *tx) error {
			// The rest is due over the next 90 days.
			_, err := t.exec(`UPDATE progress SET next_at = CASE WHEN secret < $1 THEN 1 ELSE $2 + fence END WHERE secret >= $3 AND secret < $4`,
				name(isDue), micros(now.Add(90*rota.Day)), name(i), name(i+100_000))
			return err
		}))
	}
	clear(configured)
	settle()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		got, err := db.Queue().Due(context.Background(), rotation.DueQuery{Now: now, Limit: isDue + 1})
		if err != nil || len(got) != isDue {
			b.Fatal(len(got), err)
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1024, "KiB/look")
	b.ReportMetric(float64(after.Sys)/1024/1024, "MiB")
	b.ReportMetric(enrolled.Seconds(), "enroll-s")
	b.ReportMetric(again.Seconds(), "enroll-again-s")
}
