package rotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// jobs is a target or reloader whose consumers read the value when they start.
type jobs struct {
	rota.Target
	rota.Reloader
	holders []rota.Holder
	err     error
	asked   []rota.HoldersRequest
}

func (j *jobs) Name() string { return "jobs" }

func (j *jobs) Holders(_ context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	j.asked = append(j.asked, r)
	return j.holders, j.err
}

func TestThePreviousCredentialStaysWhileAConsumerHoldsIt(t *testing.T) {
	for _, part := range []string{"target", "reloader"} {
		for _, force := range []rota.Step{rota.StepNone, rota.StepDeactivate} {
			t.Run(part+" "+string(force), func(t *testing.T) {
				b := newBench(t)
				j := &jobs{Target: b.target, Reloader: b.reloader}
				if part == "target" {
					b.secret.Targets = []rota.Target{j}
				} else {
					b.secret.Reloaders = []rota.Reloader{j}
				}
				b.advance(t, rotation.Options{})
				b.days(90)
				b.advance(t, rotation.Options{})
				delivered := b.now
				b.days(101)
				j.holders = []rota.Holder{{Name: "pipeline 7 of shop/api", Remedies: rota.Outside("cancel it")}, {Name: "pipeline 8 of shop/api"}}
				r := b.advance(t, rotation.Options{Force: force})
				want := "may still be held: by pipeline 7 of shop/api (and 1 more)"
				if len(r.Done) > 0 || r.Last.Hold != rotation.HoldInUse || !strings.Contains(r.Last.Reason, want) || rota.Hint(r.Last.Remedies) != "cancel it" {
					t.Fatalf("it did %q and says %q %q (%q)", steps(r), r.Last.Hold, r.Last.Reason, rota.Hint(r.Last.Remedies))
				}
				last := j.asked[len(j.asked)-1]
				if last.Version != r.Status.Version || last.Since.Before(delivered.Add(-time.Minute)) || last.Since.After(delivered) {
					t.Errorf("it asked %+v, delivered at %s", last, delivered)
				}
				if at := r.Last.At.Sub(b.now); at != 5*time.Minute {
					t.Errorf("it looks again after %s", at)
				}
				j.holders, j.err = nil, errors.New("the queue can't be seen")
				if r := b.advance(t, rotation.Options{Force: force}); len(r.Done) > 0 || !strings.Contains(r.Last.Reason, part+" jobs can't say: the queue can't be seen") {
					t.Fatalf("where it isn't known, it did %q and says %q", steps(r), r.Last.Reason)
				}
				j.err = nil
				if r := b.advance(t, rotation.Options{Force: force}); steps(r) != "deactivate" {
					t.Errorf("once they're done, it did %q: %s", steps(r), r.Last.Reason)
				}
				asked := len(j.asked)
				j.holders = []rota.Holder{{Name: "pipeline 9"}}
				b.days(140)
				if r := b.advance(t, rotation.Options{}); !strings.HasPrefix(steps(r), "delete") || len(j.asked) != asked {
					t.Errorf("deleting what's inactive, it did %q (%s) and asked %d times", steps(r), r.Last.Reason, len(j.asked)-asked)
				}
			})
		}
	}
}

// choosy is a target that can't take every value.
type choosy struct {
	rota.Target
	accept func(rota.Credential) error
}

func (c *choosy) Accept(credential rota.Credential) error { return c.accept(credential) }

func TestARotationDoesNotBeginForAValueThatATargetCannotTake(t *testing.T) {
	refuse := func(c rota.Credential) error {
		if len(c.Field(rota.FieldPassword)) < 200 {
			return rota.WithRemedies(errors.New("GitLab can't mask it"), rota.Configure("", "a longer password"))
		}
		return nil
	}
	b := newBench(t)
	l, old := newLogin(t, b)
	b.secret.Targets = []rota.Target{&choosy{b.target, refuse}}
	r := b.advance(t, rotation.Options{})
	if r.Last.Hold != rotation.HoldNotReady || len(r.Done) > 0 || !strings.Contains(r.Last.Reason, "can't mask it") || rota.Hint(r.Last.Remedies) != "a longer password" {
		t.Fatalf("it did %q and says %q %q (%q)", steps(r), r.Last.Hold, r.Last.Reason, rota.Hint(r.Last.Remedies))
	}
	b.alone(t, l, old)
	var found bool
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		found = found || !f.OK && !f.Warning && strings.Contains(f.Detail, "can't mask it") && len(f.Remedies) > 0
	}
	if !found {
		t.Error("rota check says nothing of it")
	}
}

func TestAKeyIsNotMadeWhereTheCurrentOneWouldNotBeTaken(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.secret.Targets = []rota.Target{&choosy{b.target, func(rota.Credential) error { return errors.New("too long") }}}
	if r := b.advance(t, rotation.Options{}); r.Last.Hold != rotation.HoldNotReady || len(b.keys.Keys()) != 1 {
		t.Errorf("held %q with %d keys: %s", r.Last.Hold, len(b.keys.Keys()), r.Last.Reason)
	}
}

// What one generated value shows, the next need not: each is asked about before
// anything outside knows it.
func TestAGeneratedValueThatATargetCannotTakeIsNeverSet(t *testing.T) {
	b := newBench(t)
	l, old := newLogin(t, b)
	asked := 0
	b.secret.Targets = []rota.Target{&choosy{b.target, func(rota.Credential) error {
		if asked++; asked == 2 {
			return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("not this one")}
		}
		return nil
	}}}
	if r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil || len(r.Done) > 0 {
		t.Fatalf("it did %q: %v", steps(r), err)
	}
	b.alone(t, l, old)
	b.now = b.now.Add(time.Hour)
	if r := b.advance(t, rotation.Options{}); steps(r) != "create set test promote deliver reload" {
		t.Errorf("the next time, it did %q: %s", steps(r), r.Last.Reason)
	}
}
