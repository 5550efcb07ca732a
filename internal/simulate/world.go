package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// start is when every simulation begins.
var start = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

// slots is how many secrets can be worked on concurrently.
const slots = 4

// world is one simulation: secrets that share nothing but the worker slots.
// Each has its own clock, so waiting for one secret never delays another.
type world struct {
	options  Options
	end      time.Time
	phases   []phase
	down     []phase // when the daemon isn't running
	subjects []*subject
	busy     [slots]time.Time // until when each slot is taken
	hooks    hooks
	result   Result
	broken   *Violation
}

// phase is a span of time, either of faults and interference by people, or of
// quiet. By the end of a quiet phase, everything must have recovered.
type phase struct{ from, to time.Time }

func (p phase) has(t time.Time) bool { return !t.Before(p.from) && t.Before(p.to) }

// quietDays is the length of a quiet phase, and so the bound in rule 7. People
// need a day or two to notice, windows open within three days, and retries wait
// up to a day.
const quietDays = 16

func newWorld(o Options) (*world, error) {
	w := &world{options: o, end: start.AddDate(0, 0, o.Days)}
	w.result = Result{Seeds: 1, Secrets: o.Secrets, Days: o.Days, Faults: map[string]int{}, People: map[string]int{}, Remedies: map[string]int{}}
	w.hooks = hooks{plan: rotation.Plan}
	if o.Mutant != "" {
		m, ok := findMutant(o.Mutant)
		if !ok {
			return nil, fmt.Errorf("there is no mutant %q", o.Mutant)
		}
		m.plant(&w.hooks)
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	for at := start; ; {
		p := phase{at, at.AddDate(0, 0, 20+rng.IntN(60))}
		if last := w.end.AddDate(0, 0, -quietDays); p.to.After(last) {
			p.to = last
		}
		if !p.to.After(p.from) {
			break // the whole run is quiet
		}
		w.phases = append(w.phases, p)
		if at = p.to.AddDate(0, 0, quietDays); !at.AddDate(0, 0, quietDays).Before(w.end) {
			break
		}
	}
	for _, p := range w.phases {
		if rng.IntN(3) == 0 && o.Faults > 0 {
			from := p.from.Add(time.Duration(rng.Int64N(int64(p.to.Sub(p.from)))))
			w.down = append(w.down, phase{from, from.Add(time.Duration(1+rng.IntN(100)) * time.Hour)})
		}
	}
	for i := range o.Secrets {
		w.subjects = append(w.subjects, newSubject(w, i, rand.New(rand.NewPCG(o.Seed, uint64(i+1)))))
	}
	return w, nil
}

// faulty reports whether faults and interference occur at that time.
func (w *world) faulty(t time.Time) bool { return w.faultySince(t, t) }

// faultySince reports whether they occurred at any time in between.
func (w *world) faultySince(from, to time.Time) bool {
	return w.options.Faults >= 0 && slices.ContainsFunc(w.phases, func(p phase) bool { return !p.from.After(to) && p.to.After(from) })
}

// upAt returns the first time from t on at which the daemon is running.
func (w *world) upAt(t time.Time) time.Time {
	for _, p := range w.down {
		if p.has(t) {
			return p.to
		}
	}
	return t
}

// awake returns t, or the end of the downtime at t or within a day of it: it may
// have prevented the look that happens once a day.
func (w *world) awake(t time.Time) time.Time {
	for _, p := range w.down {
		if p.from.Before(t.Add(rota.Day)) && p.to.After(t) {
			return p.to
		}
	}
	return t
}

// run processes the secrets' events in chronological order.
func (w *world) run(ctx context.Context) (Result, error) {
	for n := 0; w.broken == nil; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return w.result, ctx.Err()
		}
		var first *subject
		for _, s := range w.subjects {
			if first == nil || s.nextAt().Before(first.nextAt()) {
				first = s
			}
		}
		if first == nil || first.nextAt().After(w.end) {
			break
		}
		first.step(ctx)
	}
	if w.broken != nil {
		return w.result, w.broken
	}
	return w.result, nil
}

// slot returns a free slot or, if there is none, when there will be.
func (w *world) slot(now time.Time) (i int, at time.Time) {
	at = w.busy[0]
	for i, until := range w.busy {
		if !until.After(now) {
			return i, now
		}
		if until.Before(at) {
			at = until
		}
	}
	return -1, at
}
