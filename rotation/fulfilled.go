package rotation

import (
	"slices"

	"github.com/rota-dev/rota"
)

// Took reports whether the turn took a step.
func (r Result) Took(step rota.Step) bool {
	return slices.ContainsFunc(r.Done, func(d Decision) bool { return d.Step == step })
}

// FinalStep is the step that fulfills a request for a forced step: what a
// rotation is asked for is a credential in use.
func FinalStep(forced rota.Step) rota.Step {
	if forced == rota.StepCreate {
		return rota.StepPromote
	}
	return forced
}

// Fulfilled reports whether the turn did what [Options].Force asked for, whatever
// has been held since.
func (r Result) Fulfilled(forced rota.Step) bool { return r.Took(FinalStep(forced)) }
