package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/rotation"
)

// secretName is Rota's name for the secret of every life.
const secretName = "prod/cms"

// memoryDisk is a folder in memory, "" if there is none: only processes are
// killed here, never the machine, so waiting for a disk would prove nothing.
func memoryDisk() string {
	const dir = "/dev/shm"
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// world is one life under one plan.
type world struct {
	life  life
	plan  plan
	scene *scene

	late sync.WaitGroup // calls that act after their callers have gone

	mu      sync.Mutex
	now     time.Time
	ids     int
	calls   []call // until the fault happens
	stepOf  []string
	step    string
	struck  bool
	down    bool   // all vendor calls fail until the run ends
	slowed  string // the system and op that are throttled until the run ends
	process *process
	wrong   error // the first violation
	log     []string
	start   moment // when the step started
	deaths  int
	reborn  int // deaths after which the store was reopened
}

// process is one run of Rota.
type process struct {
	w      *world
	cancel context.CancelFunc
	dead   bool       // guarded by world.mu, as is
	steps  []underway // what this process is at, according to the audit
}

// underway is a step that has begun, and may have ended.
type underway struct {
	step  string
	ended bool
}

func (u underway) over() bool { return u.ended }

func newWorld(t testing.TB, l life, p plan) *world {
	w := &world{life: l, plan: p, now: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)}
	w.scene = l.build(t, w)
	return w
}

func (w *world) close() {
	w.late.Wait()
	w.scene.close()
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) sleep(ctx context.Context, d time.Duration) error {
	w.pass(d)
	return ctx.Err()
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("rota-00000000-0000-4000-8000-%012d", w.ids)
}

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(format, args...)
}

// note is tell with the lock held.
func (w *world) note(format string, args ...any) {
	w.log = append(w.log, w.now.Format("01-02 15:04:05 ")+fmt.Sprintf(format, args...))
}

func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "\t" + strings.Join(w.log, "\n\t")
}

func (w *world) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong
}

// breaks records the first violation.
func (w *world) breaks(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == nil {
		w.wrong = err
		w.note("WRONG: %v", err)
	}
}

// begin records the state as a step starts.
func (w *world) begin(s step) {
	w.tell("== %s", s.name)
	m, err := w.scene.look()
	if err != nil {
		w.breaks(err)
	}
	w.start, w.step = m, s.name
}

// moment is the state now, and when the step started.
func (w *world) moment() (moment, error) {
	m, err := w.scene.look()
	m.before, m.prior = w.start.current, w.start.previous
	return m, err
}

// died reports, once per death, that a process has died.
func (w *world) died() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh := w.deaths > w.reborn && w.process != nil && !w.process.dead
	if fresh {
		w.reborn = w.deaths
	}
	return fresh
}

func (w *world) lose() { w.scene.lose() }

// outcome is how a run ended.
type outcome struct {
	hold    rotation.HoldKind
	failure *rotation.Failure
	busy    bool
	err     error
}

// callTimeout is real time. Only the call that is meant to be slow should
// exceed it.
func (w *world) callTimeout() time.Duration {
	if w.plan.kind == slow && w.plan.step == w.step {
		return w.plan.timeout
	}
	return time.Minute
}

// slowTimeout is long enough for a healthy call on a busy machine.
const slowTimeout = 3 * time.Second

// run is one run of Rota, in a process of its own: cron's if ask is nil.
func (w *world) run(ask command) outcome {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{w: w, cancel: cancel}
	w.mu.Lock()
	w.process = p
	w.note("a run begins")
	w.mu.Unlock()
	defer w.ended(cancel)

	out, err := w.work(ctx, p, ask)
	out.err = err
	w.tell("the run ends: hold %q, error %v", out.hold, err)
	return out
}

// ended waits for the calls that are still in flight, because the next run
// starts long after them.
func (w *world) ended(cancel context.CancelFunc) {
	cancel()
	w.late.Wait()
	w.mu.Lock()
	w.down, w.slowed, w.process = false, "", nil
	w.mu.Unlock()
}

func (w *world) work(ctx context.Context, p *process, ask command) (outcome, error) {
	journal, err := w.scene.journal()
	if err != nil {
		return outcome{}, err
	}
	if ask == nil {
		// As rota run does: by what the last look left.
		snapshot, err := journal.Load(context.WithoutCancel(ctx), secretName)
		if err != nil {
			return outcome{}, err
		}
		before := snapshot.Progress
		seen := map[string]engine.LastLook{secretName: {LookedAt: before.Status.LookedAt, NextAt: before.NextAt}}
		if !engine.Schedule(w.clock(), time.Time{}, seen)(&rotation.Secret{Name: secretName}) {
			w.tell("not due before %s", before.NextAt)
			return outcome{hold: before.Status.Hold, failure: before.Failure}, nil
		}
		ask = func(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
			return r.Advance(ctx, s, rotation.Options{})
		}
	}
	secret, err := w.scene.secret(p)
	if err != nil {
		return outcome{}, err
	}
	r := &rotation.Rotator{
		Journal: &wrappedJournal{p: p, inner: journal}, Now: w.clock, Sleep: w.sleep, NewID: w.newID, CallTimeout: w.callTimeout(),
		Report: func(r rotation.Report) {
			if r.Done {
				w.tell("%s %s: %v", r.Decision.Step, r.Decision.Credential, r.Err)
			}
		},
	}
	if w.plan.bug != nil && w.struck {
		w.plan.bug(r)
	}
	result, err := ask(ctx, r, secret)
	if errors.Is(err, rota.ErrBusy) && w.struck {
		return outcome{busy: true}, nil // the lease of a dead process
	}
	after, loadErr := journal.Load(context.WithoutCancel(ctx), secret.Name)
	if loadErr != nil {
		return outcome{}, loadErr
	}
	w.tell("it says: %s", result.Last.Reason)
	return outcome{hold: result.Last.Hold, failure: after.Progress.Failure}, err
}
