package rotation

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// ruleServe delivers the current credential to all targets and reloads consumers.
func ruleServe(v *view) (Decision, bool) {
	if !v.hasCurrent {
		return Decision{}, false
	}
	f := v.Progress.stepFailure()
	if v.Force == rota.StepCreate && (!v.Traits.Overlap() || !v.current.Ours() || v.dead(v.current) || f != nil && f.Refused) {
		return Decision{}, false // a person is replacing it, perhaps because consumers can't use it
	}
	if v.Force == rota.StepDelete && f != nil && f.Refused && v.hasPrevious && v.off() {
		return Decision{}, false // a person makes room for its replacement
	}
	if v.mustRenew() || v.isLost() || v.takesOver() {
		return Decision{}, false // another one is needed more than this one everywhere
	}
	vp := v.Progress.Versions[v.current.ID]
	since := cmp.Or(vp.PromotedAt, v.current.CreatedAt)
	if missing := missing(v.Targets, vp.Delivered); len(missing) > 0 {
		return v.do(rota.StepDeliver, v.current, since, "bring %s up to date", some(missing, "target"))
	}
	if missing := missing(v.Reloaders, vp.Reloaded); len(missing) > 0 {
		return v.do(rota.StepReload, v.current, since, "make %s pick it up", some(missing, "reloader"))
	}
	if d, waits := v.switching(); waits {
		return d, true
	}
	if vp.ServedAt.IsZero() || !v.current.Has(rota.LabelServed) {
		return v.do(lastServing(len(v.Targets), len(v.Reloaders)), v.current, since, "mark the current credential as served")
	}
	return Decision{}, false
}

// some names the targets or reloaders that a step is for, or counts them if there
// are many.
func some(names []string, one string) string {
	if n := len(names); n > 3 {
		return fmt.Sprintf("%d %ss", n, one)
	}
	return strings.Join(names, ", ")
}

// lastServing returns the step after which a credential counts as served.
func lastServing(targets, reloaders int) rota.Step {
	switch {
	case reloaders > 0:
		return rota.StepReload
	case targets > 0:
		return rota.StepDeliver
	default:
		return rota.StepPromote
	}
}

// isServed reports whether every consumer has the current credential. After a
// person asked to deliver it again, they may not, although it was served before.
func (v *view) isServed() bool {
	vp := v.Progress.Versions[v.current.ID]
	return !vp.ServedAt.IsZero() && len(missing(v.Targets, vp.Delivered)) == 0 && len(missing(v.Reloaders, vp.Reloaded)) == 0
}

func missing(names []string, done map[string]time.Time) []string {
	var out []string
	for _, n := range names {
		if done[n].IsZero() {
			out = append(out, n)
		}
	}
	return out
}
