package rotation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// rival has the bench's secret turn out to change the same as another one.
func (b *bench) rival(found bool) {
	b.secret.Rivals = func(context.Context) rotation.Rivals {
		keepOne := rota.Configure("secrets", "keep one of them")
		r := []rotation.Rival{{
			Secret: "prod/other", Reason: "another secret changes user ci too", Remedies: keepOne,
			Finding: rota.Finding{Warning: !found, Detail: "user ci is that of prod/other too", Remedies: keepOne},
		}}
		if found {
			return rotation.Rivals{Found: r}
		}
		return rotation.Rivals{Unknown: r}
	}
}

func TestNothingIsBegunForWhatAnotherSecretChangesToo(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	held := func(what string, d rotation.Decision) {
		t.Helper()
		if d.Hold != rotation.HoldRival || !strings.Contains(d.Reason, "changes user ci too") || rota.Hint(d.Remedies) != "keep one of them" {
			t.Errorf("%s: %+v", what, d)
		}
	}
	b.rival(true)
	held("rotate", b.advance(t, rotation.Options{Force: rota.StepCreate}).Last)
	b.secret.Rivals = nil
	b.days(90)
	b.advance(t, rotation.Options{})
	b.rival(true)
	held("deactivate", b.advance(t, rotation.Options{Force: rota.StepDeactivate}).Last)
	before := len(b.keys.Keys())
	for what, do := range map[string]func() (rotation.Result, error){
		"adopt": func() (rotation.Result, error) {
			return b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
		},
		"rollback": func() (rotation.Result, error) { return b.rotator.Rollback(t.Context(), b.secret) },
		"deliver":  func() (rotation.Result, error) { return b.rotator.Redeliver(t.Context(), b.secret) },
	} {
		delivered := len(b.target.History())
		_, err := do()
		if err == nil || rota.ClassOf(err) != rota.ClassStop || rota.Hint(rota.RemediesOf(err)) != "keep one of them" {
			t.Errorf("%s: %v", what, err)
		}
		if len(b.target.History()) != delivered {
			t.Errorf("%s delivered", what)
		}
	}
	b.days(200)
	held("what is due", b.advance(t, rotation.Options{}).Last)
	if len(b.keys.Keys()) != before {
		t.Errorf("the issuer has %v", b.keys.Keys())
	}
	b.secret.Rivals = nil
	if r := b.advance(t, rotation.Options{}); len(r.Done) == 0 {
		t.Errorf("once the other is gone nothing is done: %+v", r.Last)
	}
}

func TestATargetAddedSinceIsNotWrittenWhereAnotherSecretWritesIt(t *testing.T) {
	b := newBench(t)
	target := b.secret.Targets
	b.secret.Targets = nil
	b.advance(t, rotation.Options{})
	b.secret.Targets = target
	b.rival(true)
	if r := b.advance(t, rotation.Options{}); r.Last.Hold != rotation.HoldRival || len(b.target.History()) > 0 {
		t.Errorf("%+v, delivered %v", r.Last, b.target.History())
	}
}

func TestWhatHasBegunIsFinishedAlthoughAnotherSecretChangesItToo(t *testing.T) {
	b := newBench(t)
	b.faults.Next("issuer.test", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: context.DeadlineExceeded}})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("nothing was broken off")
	}
	b.rival(true)
	r := b.advance(t, rotation.Options{Force: rota.StepCreate})
	if got := steps(r); got != "test promote deliver reload" {
		t.Errorf("it did %q, then %+v", got, r.Last)
	}
}

func TestWhatIsNotKnownHoldsNothingBack(t *testing.T) {
	b := newBench(t)
	b.rival(false)
	if got := steps(b.advance(t, rotation.Options{})); got != "create test promote deliver reload" {
		t.Errorf("it did %q", got)
	}
	if f := findingsOn(t, b, "claims"); len(f) != 1 || !f[0].Warning || rota.Hint(f[0].Remedies) != "keep one of them" {
		t.Errorf("check says %+v", f)
	}
	b.rival(true)
	if f := findingsOn(t, b, "claims"); len(f) != 1 || f[0].Warning || f[0].OK || !strings.Contains(f[0].Detail, "prod/other") {
		t.Errorf("check says %+v", f)
	}
	b.secret.Rivals = func(context.Context) rotation.Rivals { return rotation.Rivals{} }
	if f := findingsOn(t, b, "claims"); len(f) != 1 || !f[0].OK {
		t.Errorf("check says %+v", f)
	}
	b.secret.Rivals = nil
	if f := findingsOn(t, b, "claims"); len(f) != 0 {
		t.Errorf("where there can't be any, check says %+v", f)
	}
}

// findingsOn are the preflight's findings of one kind.
func findingsOn(t *testing.T, b *bench, what string) []rota.Finding {
	t.Helper()
	var out []rota.Finding
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		if strings.HasPrefix(f.Check, what+": ") {
			out = append(out, f)
		}
	}
	return out
}

func TestADriverIsRefusedWhatAnotherSecretChangesToo(t *testing.T) {
	b := newBench(t)
	b.rival(true)
	b.secret.Store = &announcing{b.store}
	_, err := b.rotator.Drive(t.Context(), b.secret, rotation.DriveRequest{Step: rota.StepCreate, Version: "v1"})
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "changes user ci too") || len(b.keys.Keys()) > 0 {
		t.Errorf("%v, keys %v", err, b.keys.Keys())
	}
}

// announcing is a store in which a driver has announced version v1.
type announcing struct{ *memory.Store }

func (s *announcing) Describe(ctx context.Context) (rota.Contents, error) {
	c, err := s.Store.Describe(ctx)
	c.Versions = append(c.Versions, rota.Version{ID: "v1", Labels: []rota.Label{rota.LabelPending}})
	return c, err
}
