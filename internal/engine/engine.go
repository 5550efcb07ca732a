package engine

import (
	"context"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Options say what a run works on, and within which bounds.
type Options struct {
	// Rotator does the work. Required.
	Rotator *rotation.Rotator
	// Secrets are the secrets to look at, in the order of the outcomes.
	Secrets []*rotation.Secret
	// Due tells whether a secret should be looked at now. Defaults to all of
	// them. See [Schedule].
	Due func(*rotation.Secret) bool
	// Limits bound the run.
	Limits
}

// Outcome is how a run went for one secret.
type Outcome struct {
	Secret string
	// Due tells that the secret was to be looked at; if not, nothing else is
	// set.
	Due bool
	// DueAt, BegunAt and DoneAt are since when it was due, zero for at once,
	// and when its turn began and ended; set by the schedulers.
	DueAt, StartedAt, EndedAt time.Time

	Result rotation.Result
	// Err is the error of the step that failed; a [*SkippedError] where the
	// secret was not begun.
	Err error
}

// Run does all that is due, once. The outcomes stand in the order of the
// secrets. A failure is in its secret's outcome and stops no other. When ctx
// ends, what is in hand is finished or handed back, and the rest is skipped.
func Run(ctx context.Context, o Options) []Outcome {
	outcomes := make([]Outcome, len(o.Secrets))
	var due []*rotation.Secret
	var place []int // in outcomes, of each that is due
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
