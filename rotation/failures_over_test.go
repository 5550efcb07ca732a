package rotation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// A step that failed is forgotten once it's done or isn't due any more, and not
// before: it counts attempts, and people have to know of it.
func TestWhenAFailureIsOver(t *testing.T) {
	fresh := func(*rotation.VersionProgress) {}
	behind := state(func(s *rotation.State) { s.Targets, s.Reloaders = []string{"t"}, []string{"r"} })
	unserved := done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.ServedAt = time.Time{} })
	off := func(s *situation) {
		issued("A", inactive)(s)
		done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })(s)
	}
	closed, err := rotation.ParseWindow("0 9 1 1 *", time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	window := policy(func(p *rotation.Policy) { p.Window = closed })
	steps := []rota.Step{rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote, rota.StepDeliver, rota.StepReload, rota.StepDeactivate, rota.StepDelete}
	var out strings.Builder
	for _, s := range []situation{
		sit("nothing yet", empty(), day0),
		sit("a young credential", served(), at(10)),
		sit("a young credential that nothing rotates", served(), at(10), policy(func(p *rotation.Policy) { p.RotateEvery = 0 })),
		sit("an old credential", served(), at(90)),
		sit("an old credential, and it's paused", served(), at(90), state(func(s *rotation.State) { s.Halts.Paused = &rotation.Halt{By: "ann", At: at(1)} })),
		sit("a young credential that's gone", served(), at(10), gone("A")),
		sit("a young credential, and a person asked for another", served(), at(10), state(func(s *rotation.State) { s.Requested = rota.StepCreate })),
		sit("a new one is on its way", served(), at(90), pending("C", 90, fresh)),
		sit("a new one is on its way, and the previous one is still there", rotated(never), at(95), pending("C", 95, fresh)),
		sit("targets are behind", served(), at(1), behind),
		sit("a target is behind, and there's nothing to reload", served(), at(1), state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("only the reloader is behind", served(), at(1), behind, done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.Delivered = map[string]time.Time{"t": day0} })),
		sit("it isn't marked as served", served(), at(1), unserved),
		sit("in the grace", rotated(never), at(95)),
		sit("in the grace, and a person asked to deactivate", rotated(never), at(95), state(func(s *rotation.State) { s.Requested = rota.StepDeactivate })),
		sit("the grace is over", rotated(never), at(100)),
		sit("in the second grace", rotated(never), at(105), off),
		sit("the second grace is over", rotated(never), at(110), off),
		sit("active again in the second grace", rotated(never), at(105), off, issued("A", func(i *rota.Issued) { i.Active = true })),
		sit("not deactivatable, in its grace periods", rotated(never), at(105), state(undeactivating)),
		sit("not deactivatable, its grace periods are over", rotated(never), at(110), state(undeactivating)),
		sit("not deactivatable, and the previous one is gone", served(), at(110), state(undeactivating)),
		sit("the second grace is over just now, and the window is closed", rotated(never), at(110), off, window),
		sit("the second grace is over since yesterday, and the window is closed", rotated(never), at(111), off, window),
		sit("the second grace isn't over, and the window is closed", rotated(never), at(109), off, window),
		sit("the grace is over just now, and the window is closed", rotated(never), at(100), window),
		sit("the grace isn't over, and the window is closed", rotated(never), at(99), window),
		sit("the grace is over, and the current one is gone", rotated(never), at(100), gone("B")),
		sit("the second grace is over, and the current one is gone", rotated(never), at(110), off, gone("B")),
		sit("not deactivatable, its grace periods are over, and the current one is gone", rotated(never), at(110), state(undeactivating), gone("B")),
		sit("a single role, with a previous password", rotated(never), at(100), single),
	} {
		var over, still []string
		for _, step := range steps {
			failure(step, 3, s.now.Add(time.Hour))(&s)
			if rotation.FailureOver(s.state, s.policy, s.now) {
				over = append(over, string(step))
			} else {
				still = append(still, string(step))
			}
		}
		out.WriteString(s.name + "\n\tover: " + strings.Join(over, " ") + "\n\tnot over: " + strings.Join(still, " ") + "\n")
	}
	golden(t, "testdata/failures_over.txt", out.String())
}
