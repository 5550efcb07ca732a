package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rota"
)

// Limits bound how much is done at once. The zero value has the defaults.
type Limits struct {
	// Workers is how many secrets are worked at once. Defaults to 32.
	Workers int
	// PerSystem is how many secrets are worked at once that need the same
	// outside system. Defaults to 4.
	PerSystem int
	// Patience is how long a secret in hand counts against Workers. One that
	// takes longer waits for a slow system: it keeps its places there, and
	// gives its worker's place to another. Defaults to 250 milliseconds.
	Patience time.Duration
	// MaxTimeouts is how many secrets in a row may time out at a system before
	// the rest of its secrets are skipped. Defaults to 3.
	MaxTimeouts int
}

func (l Limits) withDefaults() Limits {
	l.Workers = cmp.Or(l.Workers, 32)
	l.PerSystem = cmp.Or(l.PerSystem, 4)
	l.Patience = cmp.Or(l.Patience, 250*time.Millisecond)
	l.MaxTimeouts = cmp.Or(l.MaxTimeouts, 3)
	return l
}

// SkippedError tells that a secret was not begun, and why.
type SkippedError struct {
	Secret string
	System string // the system that timed out too often; "" where the run was ended
	Err    error  // the last timeout, or why the run was ended
}

func (e *SkippedError) Error() string {
	if e.System == "" {
		return fmt.Sprintf("%s: skipped: %v", e.Secret, e.Err)
	}
	return fmt.Sprintf("%s: skipped: %s timed out too often in this run, the last time: %v", e.Secret, e.System, e.Err)
}

func (e *SkippedError) Unwrap() error { return e.Err }

// Each calls do with the index of every secret, from several goroutines, and
// gives the errors in the order of the secrets. A secret is begun when there is
// room at all of its systems; those with the same systems are begun in order.
func Each(ctx context.Context, l Limits, secrets []*rota.Secret, do func(ctx context.Context, i int) error) []error {
	d := newDispatcher(l.withDefaults(), secrets)
	stop := context.AfterFunc(ctx, d.wake)
	defer stop()
	var working sync.WaitGroup
	for {
		i, ok := d.next(ctx)
		if !ok {
			break
		}
		working.Go(func() {
			slow := time.AfterFunc(d.limits.Patience, func() { d.lend(i) })
			err := do(ctx, i)
			slow.Stop()
			d.done(i, err)
		})
	}
	working.Wait()
	return d.errs
}

// dispatcher hands out secrets. One mutex guards all of it; the condition is
// signalled whenever a place may have come free.
type dispatcher struct {
	limits  Limits
	secrets []*rota.Secret

	mu      sync.Mutex
	changed *sync.Cond
	groups  []*group // with something waiting, by the first that waits
	systems map[string]*system
	counted map[int]bool // in hand, and counting against Workers
	errs    []error
}

// group is the secrets that need the same systems: where one has no room, none
// has.
type group struct {
	systems []*system
	waiting []int // in order
}

type system struct {
	name     string
	inHand   int
	timeouts int // in a row
}

func newDispatcher(l Limits, secrets []*rota.Secret) *dispatcher {
	d := &dispatcher{
		limits: l, secrets: secrets, systems: map[string]*system{},
		counted: map[int]bool{}, errs: make([]error, len(secrets)),
	}
	d.changed = sync.NewCond(&d.mu)
	byKey := map[string]*group{}
	for i, s := range secrets {
		names := slices.Compact(slices.Sorted(slices.Values(s.Systems)))
		key := strings.Join(names, "\x00")
		g, ok := byKey[key]
		if !ok {
			g = &group{}
			for _, name := range names {
				if d.systems[name] == nil {
					d.systems[name] = &system{name: name}
				}
				g.systems = append(g.systems, d.systems[name])
			}
			byKey[key] = g
			d.groups = append(d.groups, g)
		}
		g.waiting = append(g.waiting, i)
	}
	return d
}

// next takes the next secret that may be begun, and waits for one. It is false
// when there are no more, or ctx has ended.
func (d *dispatcher) next(ctx context.Context) (int, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if ctx.Err() != nil {
			d.skipAll(context.Cause(ctx))
		}
		if len(d.groups) == 0 {
			return 0, false
		}
		if len(d.counted) < d.limits.Workers {
			if i, ok := d.take(); ok {
				return i, true
			}
		}
		d.changed.Wait()
	}
}

// take finds the group with room whose first secret stands first.
func (d *dispatcher) take() (int, bool) {
	at := -1
	for n, g := range d.groups {
		if d.room(g) && (at < 0 || g.waiting[0] < d.groups[at].waiting[0]) {
			at = n
		}
	}
	if at < 0 {
		return 0, false
	}
	g := d.groups[at]
	i := g.waiting[0]
	if g.waiting = g.waiting[1:]; len(g.waiting) == 0 {
		d.groups = slices.Delete(d.groups, at, at+1)
	}
	for _, s := range g.systems {
		s.inHand++
	}
	d.counted[i] = true
	return i, true
}

func (d *dispatcher) room(g *group) bool {
	return !slices.ContainsFunc(g.systems, func(s *system) bool { return s.inHand >= d.limits.PerSystem })
}

// lend gives the worker's place of a slow secret to another.
func (d *dispatcher) lend(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.counted, i)
	d.changed.Signal()
}

// done frees the places of a secret and notes how its systems answered.
func (d *dispatcher) done(i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs[i] = err
	delete(d.counted, i)
	var needed []*system
	for _, name := range slices.Compact(slices.Sorted(slices.Values(d.secrets[i].Systems))) {
		needed = append(needed, d.systems[name])
		d.systems[name].inHand--
	}
	d.judge(needed, err)
	d.changed.Signal()
}

// wake makes next look at its context again.
func (d *dispatcher) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed.Signal()
}

func (d *dispatcher) skipAll(why error) {
	for _, g := range d.groups {
		d.skip(g, "", why)
	}
	d.groups = nil
}

func (d *dispatcher) skip(g *group, system string, why error) {
	for _, i := range g.waiting {
		d.errs[i] = &SkippedError{Secret: d.secrets[i].Name, System: system, Err: why}
	}
}
