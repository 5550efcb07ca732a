package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configure a simulation.
type Options struct {
	// Days is the length of the simulated time. Defaults to 400.
	Days int
	// Secrets is how many secrets are simulated at the same time. Defaults to
	// 8, which has every kind of issuer within a few seeds.
	Secrets int
	// Seed determines everything random.
	Seed uint64
	// Faults is the probability that a call has a fault. Defaults to 0.02;
	// negative means never.
	Faults float64
	// Mutant is the name of a planted bug, or "" for none.
	Mutant string
	// Report, if set, is called by [RunMany] after each seed. Calls don't
	// overlap.
	Report func(seed uint64, r Result, err error)
}

func (o Options) withDefaults() Options {
	o.Days = cmp.Or(o.Days, 400)
	o.Secrets = cmp.Or(o.Secrets, 8)
	o.Faults = cmp.Or(o.Faults, 0.02)
	return o
}

// Result summarizes a simulation.
type Result struct {
	Seeds     int            `json:"seeds"`
	Secrets   int            `json:"secrets"`
	Days      int            `json:"days"` // of each seed
	Rotations int            `json:"rotations"`
	Steps     int            `json:"steps"` // successful ones
	Turns     int            `json:"turns"`
	Holds     int            `json:"holds"` // turns that ended in a hold
	Logins    int            `json:"logins"`
	Crashes   int            `json:"crashes"`
	Takeovers int            `json:"takeovers"`
	RollBacks int            `json:"roll_backs"`
	Faults    map[string]int `json:"faults"` // by kind
	People    map[string]int `json:"people"` // people's actions, by kind
	// Remedies counts those that the obedient operator followed, by what they
	// are. WaysOut counts how often they ended a hold or a failure.
	Remedies map[string]int `json:"remedies"`
	WaysOut  int            `json:"ways_out"`
}

func (r *Result) add(o Result) {
	r.Seeds += o.Seeds
	r.Secrets += o.Secrets
	r.Days = max(r.Days, o.Days)
	r.Rotations += o.Rotations
	r.Steps += o.Steps
	r.Turns += o.Turns
	r.Holds += o.Holds
	r.Logins += o.Logins
	r.Crashes += o.Crashes
	r.Takeovers += o.Takeovers
	r.RollBacks += o.RollBacks
	r.Faults = sum(r.Faults, o.Faults)
	r.People = sum(r.People, o.People)
	r.Remedies = sum(r.Remedies, o.Remedies)
	r.WaysOut += o.WaysOut
}

func sum(a, b map[string]int) map[string]int {
	if a == nil {
		a = map[string]int{}
	}
	for k, n := range b {
		a[k] += n
	}
	return a
}

// String returns a human-readable summary of a few lines.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rotations of %d secrets in %d runs of %d days\n", r.Rotations, r.Secrets, r.Seeds, r.Days)
	fmt.Fprintf(&b, "%d steps in %d turns, %d of them ended in a hold; %d roll-backs\n", r.Steps, r.Turns, r.Holds, r.RollBacks)
	fmt.Fprintf(&b, "%d logins of consumers\n", r.Logins)
	fmt.Fprintf(&b, "%d crashes, %d leases taken over\n", r.Crashes, r.Takeovers)
	fmt.Fprintf(&b, "faults: %s\n", counts(r.Faults))
	fmt.Fprintf(&b, "people: %s\n", counts(r.People))
	fmt.Fprintf(&b, "remedies followed: %s; %d times they led out\n", counts(r.Remedies), r.WaysOut)
	return b.String()
}

func counts(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// Violation is a broken rule. The same options reproduce it.
type Violation struct {
	Seed   uint64
	Rule   int // 1 to 15, as numbered in docs/reliability.md
	Secret string
	At     time.Time
	What   string
	Trace  []string // the last 30 lines of what happened to the secret
}

// Error returns the violation with its trace.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d: rule %d broken for %s at %s: %s\n  %s",
		v.Seed, v.Rule, v.Secret, v.At.Format("2006-01-02 15:04:05"), v.What, strings.Join(v.Trace, "\n  "))
}

// Run simulates one seed. It returns a [*Violation], a context's error, or an
// error for an unknown mutant. The same options give the same result.
func Run(ctx context.Context, o Options) (Result, error) {
	w, err := newWorld(o.withDefaults())
	if err != nil {
		return Result{}, err
	}
	return w.run(ctx)
}

// RunMany simulates that many seeds, starting from o.Seed, on the given number
// of workers, and adds up the results. It doesn't stop at a violation: the
// returned error joins all of them, lowest seed first.
func RunMany(ctx context.Context, o Options, seeds, workers int) (Result, error) {
	type outcome struct {
		result Result
		err    error
	}
	outcomes := make([]outcome, seeds)
	next := make(chan int)
	var reporting sync.Mutex
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			for i := range next {
				one := o
				one.Seed = o.Seed + uint64(i)
				r, err := Run(ctx, one)
				outcomes[i] = outcome{r, err}
				if o.Report != nil {
					reporting.Lock()
					o.Report(one.Seed, r, err)
					reporting.Unlock()
				}
			}
		})
	}
	for i := range seeds {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	var total Result
	errs := []error{ctx.Err()}
	for _, out := range outcomes {
		total.add(out.result)
		if out.err != nil && ctx.Err() == nil {
			errs = append(errs, out.err)
		}
	}
	return total, errors.Join(errs...)
}
