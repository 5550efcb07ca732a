package store

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota/rotation"
)

// inOneBatchUnder is inOneBatch with a lock for each call.
func inOneBatchUnder(t *testing.T, w *writer, locks []string, runs ...func(*tx) error) []error {
	t.Helper()
	requests := make([]*request, len(runs))
	var errs []error
	must(t, w.do(t.Context(), "", func(tx *tx) error {
		for i, run := range runs {
			requests[i] = &request{lock: locks[i], run: run}
		}
		errs = make([]error, len(runs))
		within := *tx
		within.submit = nil // like the transaction itself, which has no other request now
		batch, rest, err := within.interleave(requests)
		if err != nil || len(batch) != len(runs) || len(rest) != 0 {
			return fmt.Errorf("%d of %d carried out, %d left: %w", len(batch), len(runs), len(rest), err)
		}
		for _, d := range batch {
			for i, r := range requests {
				if d.r == r {
					errs[i] = d.refusal
				}
			}
		}
		tx.pending, tx.entries = within.pending, within.entries
		return nil
	}))
	return errs
}

func TestRequestsWithTheSameLockRunOneAfterAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		const each = 10
		var locks []string
		var runs []func(*tx) error
		for i := range 3 * each {
			name := fmt.Sprint("s", i%3)
			locks = append(locks, secretLock(name))
			runs = append(runs, func(tx *tx) error {
				n, err := tx.count(`SELECT coalesce(max(changed_at), 0) FROM secrets WHERE name = $1`, name)
				if err != nil {
					return err
				}
				if i%2 == 0 {
					_, err = tx.exec(sqlTouchSecret, name, n+1, "abcdef")
				} else {
					tx.enqueue(sqlTouchSecret, name, n+1, "abcdef")
				}
				return err
			})
		}
		for i, err := range inOneBatchUnder(t, db.writer, locks, runs...) {
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		}
		for i := range 3 {
			var n int
			must(t, db.reader.QueryRowContext(t.Context(), `SELECT changed_at FROM secrets WHERE name = $1`, fmt.Sprint("s", i)).Scan(&n))
			if n != each {
				t.Errorf("s%d was counted up to %d, want %d: one did not see what the other wrote", i, n, each)
			}
		}
	})
}

func TestTheKeysLockIsExclusive(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		running, beside := 0, 0
		var locks []string
		var runs []func(*tx) error
		for i := range 12 {
			lock := secretLock(fmt.Sprint(i))
			if i%4 == 1 {
				lock = keysLock
			}
			locks = append(locks, lock)
			runs = append(runs, func(tx *tx) error {
				running++
				defer func() { running-- }()
				for range 3 {
					if lock == keysLock && running > 1 {
						beside++
					}
					if _, err := tx.count(sqlAuditCount); err != nil {
						return err
					}
				}
				return tx.append([]rotation.Entry{{Secret: lock, Step: "set"}})
			})
		}
		inOneBatchUnder(t, db.writer, locks, runs...)
		if beside > 0 {
			t.Errorf("%d statements under the keys' lock had others beside them", beside)
		}
		verified, err := db.Audit().Verify(t.Context())
		must(t, err)
		if verified.Entries != len(runs) {
			t.Errorf("%d entries, want %d", verified.Entries, len(runs))
		}
	})
}

func TestRequestsStartInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		locks := rapid.SliceOf(rapid.SampledFrom([]string{"", keysLock, secretLock("a"), secretLock("b")})).Draw(t, "locks")
		var rest []*request
		number := map[*request]int{}
		for i, lock := range locks {
			r := &request{lock: lock}
			number[r] = i
			rest = append(rest, r)
		}
		held := map[string]bool{}
		last := map[string]int{} // the last of each lock that started
		var running []*request
		for len(rest)+len(running) > 0 {
			var begun []*request
			begun, rest = startable(rest, len(running), held)
			for _, r := range begun {
				if before, ok := last[r.lock]; ok && r.lock != "" && before > number[r] {
					t.Fatalf("%d of %q began after %d", number[r], r.lock, before)
				}
				last[r.lock] = number[r]
			}
			running = append(running, begun...)
			if len(running) == 0 {
				t.Fatalf("nobody runs, and %d wait", len(rest))
			}
			with := map[string]int{}
			for _, r := range running {
				with[r.lock]++
			}
			for lock, n := range with {
				if lock != "" && n > 1 || lock == keysLock && len(running) > 1 {
					t.Fatalf("%d of %q run, of %d", n, lock, len(running))
				}
			}
			i := rapid.IntRange(0, len(running)-1).Draw(t, "ends")
			delete(held, running[i].lock)
			running = append(running[:i], running[i+1:]...)
		}
	})
}
