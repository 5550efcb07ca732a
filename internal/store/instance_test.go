//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// holdLease takes a lease, reports that, and saves with it when told to.
func holdLease(ctx context.Context, dir string) error {
	db, err := Open(ctx, options(dir, nil))
	if err != nil {
		return err
	}
	l, err := db.Journal().Acquire(ctx, rotation.AcquireRequest{Secret: "s", Holder: "child", TTL: time.Hour})
	if err != nil {
		return err
	}
	fmt.Println("fence", l.Fence)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	if err := db.Journal().Save(ctx, rotation.SaveRequest{Lease: l}); errors.Is(err, rota.ErrFenced) {
		fmt.Println("fenced")
	} else {
		fmt.Println("saved", err)
	}
	return db.Close()
}

// holder is another process that holds secret s's lease for an hour.
type holder struct {
	cmd   *exec.Cmd
	in    io.Writer
	out   *bufio.Reader
	fence int64
}

func startHolder(t *testing.T, dir string) *holder {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	h := &holder{cmd: exec.CommandContext(t.Context(), self)}
	h.cmd.Env = append(os.Environ(), childEnv+"=hold "+dir)
	h.in, err = h.cmd.StdinPipe()
	must(t, err)
	out, err := h.cmd.StdoutPipe()
	must(t, err)
	h.out = bufio.NewReader(out)
	must(t, h.cmd.Start())
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
	})
	if _, err := fmt.Sscanf(h.says(t), "fence %d", &h.fence); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *holder) says(t *testing.T) string {
	t.Helper()
	line, err := h.out.ReadString('\n')
	must(t, err)
	return strings.TrimSpace(line)
}

func (h *holder) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	must(t, h.cmd.Process.Signal(s))
}

func asks(holder string) rotation.AcquireRequest {
	return rotation.AcquireRequest{Secret: "s", Holder: holder, TTL: ttl}
}

func busy(t *testing.T, db *DB, holder string) {
	t.Helper()
	if _, err := db.Journal().Acquire(t.Context(), asks(holder)); !errors.Is(err, rota.ErrBusy) {
		t.Fatalf("%s: %v, want %v", holder, err, rota.ErrBusy)
	}
}

// at returns who is working on secret s, according to the status table.
func at(t *testing.T, db *DB) string {
	t.Helper()
	all, err := db.Overview().Statuses(t.Context())
	must(t, err)
	if len(all) != 1 {
		t.Fatalf("%d statuses", len(all))
	}
	return all[0].Holder
}

func lockFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, holdersDir, "*"))
	must(t, err)
	return files
}

func TestTheLeaseOfAKilledProcessIsFreeAtOnce(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, dir string, kill func()) *DB{
		"for a store opened before": func(t *testing.T, dir string, kill func()) *DB {
			db := openAt(t, dir, nil)
			busy(t, db, "b")
			if got := at(t, db); got != "child" {
				t.Errorf("at it: %q, want child", got)
			}
			kill()
			return db
		},
		"for a store opened afterwards": func(t *testing.T, dir string, kill func()) *DB {
			kill()
			return openAt(t, dir, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			h := startHolder(t, dir)
			db := open(t, dir, func() {
				h.signal(t, syscall.SIGKILL)
				_ = h.cmd.Wait()
			})
			if got := at(t, db); got != "" {
				t.Errorf("at it: the dead %q", got)
			}
			var winners atomic.Int32
			parallel(t, 8, func(i int) error {
				l, err := db.Journal().Acquire(t.Context(), asks(fmt.Sprint("b", i)))
				if err == nil && l.Fence <= h.fence {
					t.Errorf("fence %d after %d", l.Fence, h.fence)
				}
				if err == nil {
					winners.Add(1)
				} else if !errors.Is(err, rota.ErrBusy) {
					return err
				}
				return nil
			})
			if n := winners.Load(); n != 1 {
				t.Errorf("%d took it over, want 1", n)
			}
			if files := lockFiles(t, dir); len(files) != 1 {
				t.Errorf("lock files: %v, want that of the living alone", files)
			}
		})
	}
}

// A secret that a killed process left half done may not log in until its turn is
// finished, so it can't wait until the lease expires.
func TestWhatAKilledProcessWasWorkingOnIsDueAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		if s, ok := db.liveness.(*session); ok {
			s.grace = 0 // the server was only just started
		}
		enroll(t, db, "a", "s", "z")
		acquire(t, db, "a", "alive")
		h := startHolder(t, dir)
		for _, page := range []int{1, 2, 10} {
			if diff := cmp.Diff([]string{"z"}, due(t, db, time.Now(), page)); diff != "" {
				t.Errorf("due in pages of %d while both are being worked on (-want +got):\n%s", page, diff)
			}
		}
		h.signal(t, syscall.SIGKILL)
		_ = h.cmd.Wait()
		want := []string{"s", "z"}
		for deadline := time.Now().Add(30 * time.Second); !slices.Equal(due(t, db, time.Now(), 10), want); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("due: %v, want %v", due(t, db, time.Now(), 10), want)
			}
		}
		for _, page := range []int{1, 2} {
			if diff := cmp.Diff(want, due(t, db, time.Now(), page)); diff != "" {
				t.Errorf("due in pages of %d (-want +got):\n%s", page, diff)
			}
		}
	})
}

func TestAStoppedProcessKeepsItsLeaseUntilItExpiresAndIsThenFenced(t *testing.T) {
	dir, c := newDir(t), newClock()
	c.at = time.Now()
	h := startHolder(t, dir)
	h.signal(t, syscall.SIGSTOP)
	db := openAt(t, dir, c.now)
	busy(t, db, "b")
	if files := lockFiles(t, dir); len(files) != 2 {
		t.Errorf("lock files: %v, want two", files)
	}
	c.advance(2 * time.Hour)
	l, err := db.Journal().Acquire(t.Context(), asks("b"))
	must(t, err)
	if l.Fence <= h.fence {
		t.Errorf("fence %d after %d", l.Fence, h.fence)
	}
	h.signal(t, syscall.SIGCONT)
	_, err = io.WriteString(h.in, "save\n")
	must(t, err)
	if got := h.says(t); got != "fenced" {
		t.Errorf("the one that woke up says %q", got)
	}
	must(t, h.cmd.Wait())
	must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l}))
	if files := lockFiles(t, dir); len(files) != 1 {
		t.Errorf("lock files after it ended: %v, want one", files)
	}
}

func TestTwoStoresInOneProcessKeepEachOtherOut(t *testing.T) {
	dir := newDir(t)
	first, err := Open(t.Context(), options(dir, nil))
	must(t, err)
	second := openAt(t, dir, nil)
	old, err := first.Journal().Acquire(t.Context(), asks("a"))
	must(t, err)
	busy(t, second, "b")
	busy(t, first, "c")
	openAt(t, dir, nil) // its start sweeps
	busy(t, second, "b")
	must(t, first.Close())
	must(t, first.Close())
	l, err := second.Journal().Acquire(t.Context(), asks("b"))
	must(t, err)
	if l.Fence <= old.Fence {
		t.Errorf("fence %d after %d", l.Fence, old.Fence)
	}
}

func TestALeaseWithoutALockFile(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, dir string, db *DB)
		busy bool
	}{
		{name: "that was removed is free", do: func(t *testing.T, dir string, db *DB) {
			must(t, os.Remove(filepath.Join(dir, holdersDir, db.liveness.id())))
		}},
		{name: "of an older program lasts its time", busy: true, do: func(t *testing.T, _ string, db *DB) {
			must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
				_, err := tx.exec(`UPDATE progress SET instance = ''`)
				return err
			}))
		}},
		{name: "of a name that is no file lasts its time", busy: true, do: func(t *testing.T, _ string, db *DB) {
			must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
				_, err := tx.exec(`UPDATE progress SET instance = '..'`)
				return err
			}))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, c := newDir(t), newClock()
			first, second := openAt(t, dir, c.now), openAt(t, dir, c.now)
			_, err := first.Journal().Acquire(t.Context(), asks("a"))
			must(t, err)
			tt.do(t, dir, first)
			busy(t, first, "c") // to the store that gave it, it is as good as ever
			if tt.busy {
				busy(t, second, "b")
				c.advance(ttl)
			}
			_, err = second.Journal().Acquire(t.Context(), asks("b"))
			must(t, err)
		})
	}
}
