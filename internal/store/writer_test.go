package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// parallel runs n calls concurrently.
func parallel(t testing.TB, n int, call func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	must(t, errors.Join(errs...))
}

var errNo = errors.New("refused")

// holdUp keeps all of a writer's committers busy, each until its function is
// called.
func holdUp(t *testing.T, w *writer) (release []func()) {
	t.Helper()
	busy := make(chan struct{}, len(w.committers))
	for range w.committers {
		gate, ended := make(chan struct{}), make(chan struct{})
		var once sync.Once
		go func() {
			defer close(ended)
			_ = w.do(t.Context(), "", func(*tx) error { once.Do(func() { busy <- struct{}{} }); <-gate; return nil })
		}()
		<-busy
		release = append(release, sync.OnceFunc(func() { close(gate); <-ended }))
	}
	return release
}

// inOneBatch runs the calls so that one commit carries them all: they queue
// while other requests keep the writer busy.
func inOneBatch(t *testing.T, w *writer, runs ...func(*tx) error) []error {
	t.Helper()
	release := holdUp(t, w)
	errs := make([]error, len(runs))
	started := make(chan struct{}, len(runs))
	var wg sync.WaitGroup
	for i, run := range runs {
		wg.Go(func() {
			started <- struct{}{}
			errs[i] = w.do(t.Context(), "", run)
		})
	}
	for range runs {
		<-started
	}
	release[0]()
	wg.Wait()
	for _, r := range release[1:] {
		r()
	}
	return errs
}

func TestARefusalDoesNotUndoOtherRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		entry := func(name string) []rotation.Entry { return []rotation.Entry{{Secret: name, Step: "get"}} }
		var runs []func(*tx) error
		for i := range 20 {
			runs = append(runs, func(tx *tx) error {
				if err := tx.append(entry(fmt.Sprint(i))); err != nil || i%2 == 0 {
					return err
				}
				return errNo
			})
		}
		for i, err := range inOneBatch(t, db.writer, runs...) {
			if (i%2 == 0) != (err == nil) || (err != nil && !errors.Is(err, errNo)) {
				t.Errorf("request %d: %v", i, err)
			}
		}
		all, err := db.Audit().Read(t.Context(), AuditQuery{})
		must(t, err)
		if len(all) != 10 {
			t.Errorf("%d entries, want the 10 that were not refused", len(all))
		}
		verified, err := db.Audit().Verify(t.Context())
		must(t, err)
		if verified.Entries != 10 {
			t.Errorf("%d entries verified, want 10", verified.Entries)
		}
	})
}

func TestARefusalAfterAWriteUndoesThatWriteAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		for _, tt := range []struct {
			name  string
			write func(tx *tx, secret string) error
		}{
			{"at once", func(tx *tx, secret string) error {
				_, err := tx.exec(sqlTouchSecret, secret, 1, "abcdef")
				return err
			}},
			{"later", func(tx *tx, secret string) error { tx.enqueue(sqlTouchSecret, secret, 1, "abcdef"); return nil }},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var runs []func(*tx) error
				for i := range 9 {
					runs = append(runs, func(tx *tx) error {
						if err := tt.write(tx, fmt.Sprint(tt.name, i)); err != nil || i%3 != 1 {
							return err
						}
						return errNo
					})
				}
				for i, err := range inOneBatch(t, db.writer, runs...) {
					if refused := i%3 == 1; refused != errors.Is(err, errNo) || !refused && err != nil {
						t.Errorf("request %d: %v", i, err)
					}
					var one int
					err := db.reader.QueryRowContext(t.Context(), `SELECT 1 FROM secrets WHERE name = $1`, fmt.Sprint(tt.name, i)).Scan(&one)
					if written := err == nil; written == (i%3 == 1) {
						t.Errorf("what request %d wrote is there: %t, %v", i, written, err)
					}
				}
			})
		}
	})
}

func TestADatabaseFailureFailsOnlyItsRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		errs := inOneBatch(t, db.writer,
			func(tx *tx) error { return tx.append([]rotation.Entry{{Secret: "a"}}) },
			func(tx *tx) error {
				// A rollback in the middle, as a full disk causes.
				if _, err := tx.exec(sqlRollback); err != nil {
					return err
				}
				_, err := tx.exec("SELECT raise_no_such_function()")
				return err
			},
			func(tx *tx) error { return tx.append([]rotation.Entry{{Secret: "b"}}) },
		)
		if errs[0] != nil || errs[1] == nil || errs[2] != nil {
			t.Errorf("errors %v, want the second alone to fail", errs)
		}
		verified, err := db.Audit().Verify(t.Context())
		must(t, err)
		if verified.Entries != 2 {
			t.Errorf("%d entries, want 2", verified.Entries)
		}
	})
}

func TestACanceledRequestIsAtomic(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		s := db.Secret("s")
		must(t, s.Put(t.Context(), rota.PutRequest{Version: "v0", Credential: credential("0"), Labels: []rota.Label{rota.LabelCurrent}}))

		// Waiting behind another: gives up immediately and never happens.
		release := holdUp(t, db.writer)
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error)
		go func() {
			waiting <- s.Put(ctx, rota.PutRequest{Version: "v1", Credential: credential("1"), Labels: []rota.Label{rota.LabelPending}})
		}()
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while waiting: %v", err)
		}
		for _, r := range release {
			r()
		}

		// In progress: is finished, and its caller gets the result.
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		err := db.writer.do(ctx, "", func(tx *tx) error {
			cancel()
			return tx.append([]rotation.Entry{{Secret: "s"}})
		})
		must(t, err)

		// Before: nothing.
		if err := s.Move(ctx, rota.MoveRequest{Label: rota.LabelPending, To: "v0"}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: %v", err)
		}
		if got := labels(t, s); len(got) != 1 || len(got["v0"]) != 1 {
			t.Errorf("labels %v, want v0 as current alone", got)
		}
	})
}

func TestConcurrentWritersOfAllKinds(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		stores := []*DB{openAt(t, dir, nil), openAt(t, dir, nil)} // two processes, as far as SQLite can tell
		const workers, rounds = 16, 5
		parallel(t, workers, func(i int) error {
			db, name := stores[i%2], fmt.Sprintf("secret %d", i/2) // each secret from both
			s := db.Secret(name)
			for n := range rounds {
				id := fmt.Sprintf("v-%d-%d", i, n)
				err := s.Put(t.Context(), rota.PutRequest{Version: id, Credential: credential(id), Labels: []rota.Label{rota.Label("L" + fmt.Sprint(i))}})
				if err != nil {
					return err
				}
				c, err := s.Get(t.Context(), rota.GetRequest{Version: id})
				if err != nil || c.Field(rota.FieldPassword) != id {
					return fmt.Errorf("%s: %v %w", id, c, err)
				}
				for {
					contents, err := s.Describe(t.Context())
					if err != nil {
						return err
					}
					current, _ := rota.Find(contents.Versions, rota.LabelCurrent)
					err = s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: current.ID, To: id})
					if err == nil {
						break
					}
					if !errors.Is(err, rota.ErrConflict) {
						return err
					}
				}
				l, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: name, Holder: fmt.Sprint(i), TTL: ttl})
				if errors.Is(err, rota.ErrBusy) {
					continue
				}
				if err != nil {
					return err
				}
				err = db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Entries: []rotation.Entry{{Secret: name, Step: "set"}, {Secret: name, Step: "test"}}})
				if err != nil {
					return err
				}
				if err := db.Journal().Release(t.Context(), l); err != nil {
					return err
				}
			}
			return nil
		})
		for _, db := range stores {
			verified, err := db.Audit().Verify(t.Context())
			must(t, err)
			if verified.Entries == 0 || verified.Entries%2 != 0 {
				t.Errorf("%d entries, want pairs", verified.Entries)
			}
		}
	})
}

func TestAClosedStoreRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db, err := Open(t.Context(), options(newDir(t), nil))
		must(t, err)
		must(t, db.Close())
		must(t, db.Close())
		if err := db.Audit().Record(t.Context(), rotation.Entry{Step: "get"}); !errors.Is(err, ErrClosed) {
			t.Errorf("record: %v, want %v", err, ErrClosed)
		}
		if _, err := db.Secret("s").Describe(t.Context()); err == nil {
			t.Error("describe: no error")
		}
	})
}

func TestAFullDiskFailsClearlyAndLeavesNoPartialWrites(t *testing.T) {
	db := openAt(t, newDir(t), nil)
	limit := func(pages int) {
		t.Helper()
		must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
			_, err := tx.count(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}))
	}
	limit(60)
	big := strings.Repeat("x", 3000)
	put := func(i int) error {
		return db.Secret(fmt.Sprintf("s%d", i)).Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential(big), Labels: []rota.Label{rota.LabelCurrent}})
	}
	var full error
	n := 0
	for ; full == nil && n < 1000; n++ {
		full = put(n)
	}
	if full == nil || !contains(hint.Text(full), "the disk is full: free some space") {
		t.Fatalf("after %d puts: %v, want a hint to free space", n, full)
	}
	parallel(t, 8, func(i int) error {
		if err := put(n + i); err == nil {
			return errors.New("a put on a full disk succeeded")
		}
		return nil
	})
	limit(1 << 20)
	must(t, put(n-1))
	for i := range n {
		c, err := db.Secret(fmt.Sprintf("s%d", i)).Get(t.Context(), rota.GetRequest{Version: "v1"})
		must(t, err)
		if !c.Equal(credential(big)) {
			t.Errorf("s%d has another value", i)
		}
	}
	if got := labels(t, db.Secret(fmt.Sprintf("s%d", n+1))); len(got) != 0 {
		t.Errorf("half work: %v", got)
	}
}

func BenchmarkSavePutMove(b *testing.B) {
	benchmarkSavePutMove(b, "SQLite", newDir)
	benchmarkSavePutMove(b, "PostgreSQL", newPostgresDir)
}

func benchmarkSavePutMove(b *testing.B, name string, newDir func(testing.TB) string) {
	for _, workers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("%s/%d at a time", name, workers), func(b *testing.B) {
			db := openAt(b, newDir(b), nil)
			leases := make([]rotation.Lease, workers)
			parallel(b, workers, func(i int) (err error) {
				secret := fmt.Sprintf("s%d", i)
				if leases[i], err = db.Journal().Acquire(b.Context(), rotation.AcquireRequest{Secret: secret, Holder: "a", TTL: ttl}); err != nil {
					return err
				}
				return db.Secret(secret).Put(b.Context(), rota.PutRequest{Version: "v", Credential: credential("x"), Labels: []rota.Label{rota.LabelCurrent}})
			})
			p := full(newClock().now())
			previous := make([]string, workers)
			for i := range previous {
				previous[i] = "v"
			}
			n := 0
			for b.Loop() {
				n++
				parallel(b, workers, func(i int) error {
					l := leases[i]
					s, id := db.Secret(l.Secret), fmt.Sprintf("v%d", n)
					entries := []rotation.Entry{{Secret: l.Secret, Step: "create", Version: id, Outcome: rotation.OutcomeBegun}}
					if err := db.Journal().Save(b.Context(), rotation.SaveRequest{Lease: l, Progress: p, Entries: entries}); err != nil {
						return err
					}
					if err := s.Put(b.Context(), rota.PutRequest{Version: id, Credential: credential(id), Labels: []rota.Label{rota.LabelPending}}); err != nil {
						return err
					}
					err := s.Move(b.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: previous[i], To: id})
					previous[i] = id
					return err
				})
			}
			b.ReportMetric(float64(3*workers*n)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}
