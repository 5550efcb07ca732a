package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// authority is a simulated issuer with extra methods for the simulation only.
type authority interface {
	rota.Issuer
	Login(c rota.Credential) bool
	Keys() []rota.Issued
	Invariant() error
}

// subject is one secret with its systems, consumers and people, and a clock.
type subject struct {
	w    *world
	i    int
	name string
	rng  *rand.Rand
	rare *rand.Rand // for what few secrets meet, so that the others stay as they were

	now   time.Time
	skew  time.Duration // of Rota's clock against everyone else's
	queue []event
	seq   int

	keys    *memory.AccessKeys // exactly one of these seven is the issuer
	ending  *endingKeys        // the keys end by themselves; nil if they don't
	tokens  bool               // Rota can't deactivate what there is; people can
	pass    *memory.Password
	alt     *memory.Alternating
	temp    *memory.Sessions
	leases  *leases // the sessions end unless they're renewed; nil if they don't
	only    *memory.Replacing
	kept    *memory.Keeping
	hashed  *memory.Hashed
	issuer  authority
	store   *memory.Store
	journal *memory.Journal
	targets []*memory.Target
	secret  *rotation.Secret
	policy  rotation.Policy
	traits  rota.Traits
	useLag  time.Duration

	consumers []*consumer
	people    people
	operator  operator
	denied    map[string]bool // calls that Rota's login isn't allowed to make
	sickness  sickness

	worker  *worker // the worker making the current call; nil for a person or no one
	workers int
	ids     int

	truth truth
	trace trace
}

// event is a future event for a secret.
type event struct {
	at   time.Time
	seq  int
	turn bool // carried out by a worker, so never in the middle of another turn
	name string
	do   func(ctx context.Context)
}

// at schedules an event.
func (s *subject) at(t time.Time, name string, do func(ctx context.Context)) {
	s.seq++
	s.queue = append(s.queue, event{at: t, seq: s.seq, name: name, do: do})
}

// turnAt schedules an event that a worker carries out.
func (s *subject) turnAt(t time.Time, name string, do func(ctx context.Context)) {
	s.at(t, name, do)
	s.queue[len(s.queue)-1].turn = true
}

// first returns the index of the earliest event. Without turns, it ignores
// those that a worker carries out.
func (s *subject) first(turns bool) int {
	best := -1
	for i := range s.queue {
		e := &s.queue[i]
		if e.turn && !turns {
			continue
		}
		if best < 0 || e.at.Before(s.queue[best].at) || (e.at.Equal(s.queue[best].at) && e.seq < s.queue[best].seq) {
			best = i
		}
	}
	return best
}

func (s *subject) take(i int) event {
	e := s.queue[i]
	last := len(s.queue) - 1
	s.queue[i] = s.queue[last]
	s.queue[last] = event{}
	s.queue = s.queue[:last]
	if e.at.After(s.now) {
		s.now = e.at
	}
	return e
}

func (s *subject) nextAt() time.Time {
	if i := s.first(true); i >= 0 {
		if t := s.queue[i].at; t.After(s.now) {
			return t
		}
		return s.now
	}
	return s.w.end.AddDate(1, 0, 0)
}

// step makes the earliest event happen.
func (s *subject) step(ctx context.Context) {
	e := s.take(s.first(true))
	e.do(ctx)
}

// spend advances time in the middle of a turn: consumers and people carry on.
func (s *subject) spend(d time.Duration) {
	until := s.now.Add(d)
	worker := s.worker
	s.worker = nil
	for {
		i := s.first(false)
		if i < 0 || s.queue[i].at.After(until) {
			break
		}
		e := s.take(i)
		e.do(context.Background())
	}
	s.worker = worker
	if until.After(s.now) {
		s.now = until
	}
}

// clock returns the time for everyone except Rota.
func (s *subject) clock() time.Time { return s.now }

// rotaClock returns the time according to Rota.
func (s *subject) rotaClock() time.Time { return s.now.Add(s.skew) }

// note adds a line to the trace.
func (s *subject) note(what, a, b string) {
	who := "people"
	if s.worker != nil {
		who = s.worker.holder
	}
	s.trace.add(line{at: s.now, who: who, what: what, a: a, b: b})
}

// violate records the first broken rule of the simulation.
func (s *subject) violate(rule int, format string, args ...any) {
	if s.w.broken != nil {
		return
	}
	what := fmt.Sprintf(format, args...)
	s.note("RULE", fmt.Sprint(rule), what)
	s.w.broken = &Violation{Seed: s.w.options.Seed, Rule: rule, Secret: s.name, At: s.now, What: what, Trace: s.trace.last()}
}

// quietly does something that Rota isn't involved in, without faults.
func (s *subject) quietly(f func()) {
	worker := s.worker
	s.worker = nil
	f()
	s.worker = worker
}

// during returns a random duration in a range.
func (s *subject) during(from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + time.Duration(s.rng.Int64N(int64(to-from)))
}

func (s *subject) chance(p float64) bool { return s.rng.Float64() < p }
