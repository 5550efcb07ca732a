package supervise

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a child in a test's own time.
type fake struct {
	w       *world
	done    chan Exit
	signals []syscall.Signal // under the world's lock
}

func (f *fake) Done() <-chan Exit { return f.done }

func (f *fake) Signal(s syscall.Signal) error {
	f.w.mu.Lock()
	f.signals = append(f.signals, s)
	f.w.mu.Unlock()
	if s == syscall.SIGTERM && !f.w.stubborn.Load() {
		f.done <- Exit{Signal: s}
	}
	return nil
}

func (f *fake) Kill() {
	f.w.kills.Add(1)
	f.done <- Exit{Signal: syscall.SIGKILL}
}

func (f *fake) got() []syscall.Signal {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	return slices.Clone(f.signals)
}

// world is a supervisor with fake children.
type world struct {
	Options
	stubborn         atomic.Bool // children ignore SIGTERM
	bad, same        atomic.Bool // refreshing fails, or the child needs none of it
	kills, refreshes atomic.Int64
	changes          chan struct{}
	signals          chan os.Signal
	over             chan int

	mu       sync.Mutex
	children []*fake
}

// all are the children so far.
func (w *world) all() []*fake {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.children)
}

// supervised makes a supervisor.
func supervised(o Options) *world {
	w := &world{Options: o, changes: make(chan struct{}), signals: make(chan os.Signal), over: make(chan int, 1)}
	w.Start = func() (Process, error) {
		f := &fake{w: w, done: make(chan Exit, 2)}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.children = append(w.children, f)
		return f, nil
	}
	w.Refresh = func(context.Context) (bool, error) {
		w.refreshes.Add(1)
		if w.bad.Load() {
			return false, errors.New("no such field")
		}
		return !w.same.Load(), nil
	}
	w.Changes, w.Signals, w.Log = w.changes, w.signals, slog.New(slog.DiscardHandler)
	return w
}

func (w *world) run(t *testing.T) {
	go func() {
		code, err := Run(t.Context(), w.Options)
		if err != nil {
			t.Error(err)
		}
		w.over <- code
	}()
	synctest.Wait()
}

// later waits, and then for everything that has become due.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// end ends the supervisor and returns its exit code.
func (w *world) end(e Exit) int {
	all := w.all()
	all[len(all)-1].done <- e
	return <-w.over
}

var restart = Action{Restart: true}

func TestChangesTogetherAreOneRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: restart, Settle: time.Second, Grace: time.Minute})
		w.run(t)
		for range 5 {
			w.changes <- struct{}{}
			later(100 * time.Millisecond)
		}
		later(time.Minute)
		if len(w.all()) != 2 || w.refreshes.Load() != 1 || w.kills.Load() != 0 {
			t.Errorf("%d children, %d refreshes, %d killed", len(w.all()), w.refreshes.Load(), w.kills.Load())
		}
		if code := w.end(Exit{Code: 3}); code != 3 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestRestartsAreSpreadOverTheSplay(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			w := supervised(Options{OnChange: restart, Splay: time.Minute, Grace: time.Minute})
			w.run(t)
			began := time.Now()
			w.changes <- struct{}{}
			for len(w.all()) < 2 {
				later(time.Second)
			}
			after := time.Since(began)
			if after > time.Minute+time.Second {
				t.Errorf("restarted after %v", after)
			}
			seen[after] = true
			w.end(Exit{})
		})
	}
	if len(seen) < 5 {
		t.Errorf("20 restarts at %d different times only", len(seen))
	}
}

func TestAChildThatIgnoresTheSignalIsKilledAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: restart, Grace: 10 * time.Second})
		w.stubborn.Store(true)
		w.run(t)
		w.changes <- struct{}{}
		later(10*time.Second - time.Millisecond)
		if w.kills.Load() != 0 || len(w.all()) != 1 {
			t.Errorf("killed %d, %d children before the grace is over", w.kills.Load(), len(w.all()))
		}
		later(2 * time.Millisecond)
		if w.kills.Load() != 1 || len(w.all()) != 2 {
			t.Errorf("killed %d, %d children after it", w.kills.Load(), len(w.all()))
		}
		w.end(Exit{})
	})
}

func TestASignalFromOutsideEndsARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: restart, Grace: 10 * time.Second})
		w.stubborn.Store(true)
		w.run(t)
		w.changes <- struct{}{}
		later(time.Second)
		w.signals <- syscall.SIGTERM
		if code := <-w.over; code != 128+9 || len(w.all()) != 1 {
			t.Errorf("exit code %d, %d children", code, len(w.all()))
		}
		if got := w.all()[0].got(); !slices.Equal(got, []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}) {
			t.Errorf("signals %v", got)
		}
	})
}

func TestASignalFromOutsideKillsOnlyIfAsked(t *testing.T) {
	for _, limit := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := supervised(Options{OnChange: restart, Grace: time.Second, KillAfter: limit})
			w.stubborn.Store(true)
			w.run(t)
			w.signals <- syscall.SIGTERM
			later(time.Hour)
			if want := limit > 0; (w.kills.Load() == 1) != want {
				t.Errorf("limit %v: killed %d", limit, w.kills.Load())
			}
			if limit == 0 {
				w.end(Exit{})
			}
		})
	}
}

func TestAChangeThatCannotBeUsedLeavesTheChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: restart, Grace: time.Second})
		w.bad.Store(true)
		w.run(t)
		w.changes <- struct{}{}
		later(time.Minute)
		w.bad.Store(false)
		w.same.Store(true) // another version, of which the child needs nothing
		w.changes <- struct{}{}
		later(time.Minute)
		if len(w.all()) != 1 || len(w.all()[0].got()) != 0 || w.refreshes.Load() != 2 {
			t.Errorf("%d children, signals %v, %d refreshes", len(w.all()), w.all()[0].got(), w.refreshes.Load())
		}
		w.end(Exit{})
	})
}

func TestAChangeIsSignaled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: Action{Signal: syscall.SIGHUP}})
		w.run(t)
		w.changes <- struct{}{}
		later(time.Minute)
		if got := w.all()[0].got(); !slices.Equal(got, []syscall.Signal{syscall.SIGHUP}) {
			t.Errorf("signals %v", got)
		}
		w.end(Exit{})
	})
}

func TestAChildThatFailsIsStartedAgainOnlyIfAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: restart})
		w.run(t)
		if code := w.end(Exit{Code: 1}); code != 1 || len(w.all()) != 1 {
			t.Errorf("exit code %d, %d children", code, len(w.all()))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := supervised(Options{OnChange: restart, RestartFailed: true})
		w.run(t)
		var pauses []time.Duration
		for n := 1; n <= 8; n++ {
			failed := time.Now()
			w.all()[n-1].done <- Exit{Code: 1}
			for len(w.all()) == n {
				later(time.Second)
			}
			pauses = append(pauses, time.Since(failed).Round(time.Second))
		}
		s := time.Second
		if want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}; !slices.EqualFunc(pauses, want, func(a, b time.Duration) bool { return a-b <= s && a >= b }) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		w.all()[8].done <- Exit{Code: 1}
		synctest.Wait()
		w.signals <- syscall.SIGTERM // during the pause
		if code := <-w.over; code != 128+15 {
			t.Errorf("exit code %d", code)
		}
	})
}
