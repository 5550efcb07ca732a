package engine

import (
	"context"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Options configure a run.
type Options struct {
	// Rotator does the work. Required.
	Rotator *rotation.Rotator
	// Secrets are the secrets to consider, in the order of the outcomes.
	Secrets []*rotation.Secret
	// Due reports whether a secret should be worked on now. Defaults to all of
	// them. See [Schedule].
	Due func(*rotation.Secret) bool
	// Limits bound the run.
	Limits
}

// Outcome is the result of a turn.
type Outcome struct {
	Secret string
	// Due means that the secret was worked on; if not, nothing else is set.
	Due bool
	// DueAt is since when it was due, zero for immediately; StartedAt and
	// EndedAt are the start and end of its turn. Set by the schedulers.
	DueAt, StartedAt, EndedAt time.Time

	Result rotation.Result
	// Err is the error of the step that failed; a [*SkippedError] if the turn
	// never started.
	Err error
}

// Run does everything that's due, once. Outcomes are in the order of the
// secrets. A failure is in its secret's outcome and affects no other. When ctx
// ends, in-flight work is finished or released, and the rest is skipped.
func Run(ctx context.Context, o Options) []Outcome {
	outcomes := make([]Outcome, len(o.Secrets))
	var due []*rotation.Secret
	var place []int // indexes of outcomes, by index of due
	for i, s := range o.Secrets {
		outcomes[i].Secret = s.Name
		if o.Due == nil || o.Due(s) {
			outcomes[i].Due = true
			due = append(due, s)
			place = append(place, i)
		}
	}
	errs := Each(ctx, o.Limits, due, func(ctx context.Context, i int) error {
		var err error
		outcomes[place[i]].Result, err = o.Rotator.Advance(ctx, due[i], rotation.Options{})
		return err
	})
	for i, err := range errs {
		outcomes[place[i]].Err = err
	}
	return outcomes
}
