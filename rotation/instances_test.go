package rotation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// counting is a journal to which instances report.
type counting struct {
	*memory.Journal
	since   time.Time
	holding map[string][]string // by instance, the versions
}

func (c *counting) Instances(context.Context, string) (rotation.Instances, error) {
	found := rotation.Instances{ListeningSince: c.since}
	for name, versions := range c.holding {
		for _, v := range versions {
			found.Add(rotation.Instance{Principal: "shop", Name: strings.TrimPrefix(name, "uncounted"), Since: c.since}, v, time.Time{})
		}
	}
	return found, nil
}

// newCountingBench is a bench with the policy retire_when, rotated once. It returns
// the previous version and the current one.
func newCountingBench(t *testing.T) (b *bench, c *counting, old, current string) {
	t.Helper()
	b = newBench(t)
	b.secret.Policy.RetireWhen = &rotation.RetireWhen{Within: 10 * time.Minute}
	c = &counting{Journal: b.journal, since: b.now, holding: map[string][]string{}}
	b.rotator.Journal = c
	old = b.advance(t, rotation.Options{}).Status.Version
	b.days(90)
	r := b.advance(t, rotation.Options{})
	return b, c, old, r.Status.Version
}

func TestThePreviousCredentialStaysWhileAnInstanceReportsIt(t *testing.T) {
	for _, force := range []rota.Step{rota.StepNone, rota.StepDeactivate} {
		b, c, old, current := newCountingBench(t)
		b.days(101)
		held := func(when, want, hint string) {
			t.Helper()
			r := b.advance(t, rotation.Options{Force: force})
			if len(r.Done) > 0 || r.Last.Hold != rotation.HoldInUse || !strings.Contains(r.Last.Reason, want) || !strings.Contains(rota.Hint(r.Last.Remedies), hint) {
				t.Fatalf("%s, it did %q and says %q %q (%q)", when, steps(r), r.Last.Hold, r.Last.Reason, rota.Hint(r.Last.Remedies))
			}
		}
		c.holding = map[string][]string{"pod-1": {current, old}, "pod-2": {current}}
		held("while one drains", "is still held by pod-1 of shop since 2026-", "forget prod/cms")
		c.holding = map[string][]string{"pod-1": {"something-else"}}
		held("with a version that nobody knows", "is still held by pod-1", "remove policy.retire_when")
		c.holding = map[string][]string{"uncounted": {old}}
		held("with too many", "more instances than can be counted", "forget prod/cms")
		c.holding = map[string][]string{"pod-1": {current}}
		c.since = time.Time{}
		held("without a server", "no server runs to which instances could report", "rota serve")
		c.since = b.now.Add(-9 * time.Minute)
		held("when the server hasn't listened for long enough", "instances have until ", "")
		b.now = b.now.Add(time.Minute)
		if r := b.advance(t, rotation.Options{Force: force}); steps(r) != "deactivate" {
			t.Fatalf("once they've let go, it did %q: %s", steps(r), r.Last.Reason)
		}
		c.holding = map[string][]string{"pod-1": {old}} // it's dead: that can't be helped anymore
		b.days(140)
		if r := b.advance(t, rotation.Options{}); !strings.HasPrefix(steps(r), "delete") {
			t.Errorf("deleting what's inactive, it did %q (%s)", steps(r), r.Last.Reason)
		}
	}
}

func TestWithoutAJournalThatCountsNothingIsRetired(t *testing.T) {
	b, _, _, _ := newCountingBench(t)
	b.rotator.Journal = b.journal
	b.days(101)
	if r := b.advance(t, rotation.Options{}); len(r.Done) > 0 || !strings.Contains(r.Last.Reason, "no server runs") {
		t.Errorf("it did %q: %s", steps(r), r.Last.Reason)
	}
}

func TestAReloadIsDoneWhenInstancesReportTheNewVersion(t *testing.T) {
	b, c, _, old := newCountingBench(t)
	for range 2 { // the previous one is retired
		b.days(11)
		b.advance(t, rotation.Options{})
	}
	c.holding = map[string][]string{"pod-1": {old}, "pod-2": {old}, "pod-3": {old}}
	b.days(68)
	r := b.advance(t, rotation.Options{})
	current := r.Status.Version
	if steps(r) != "create test promote deliver reload" && steps(r) != "create set test promote deliver reload" || !strings.Contains(r.Last.Reason, "waiting for 3 of 3 instances to report the new version: pod-") {
		t.Fatalf("it did %q: %s", steps(r), r.Last.Reason)
	}
	if at := r.Last.At.Sub(b.now); at != 100*time.Second {
		t.Errorf("it looks again after %s", at)
	}
	c.holding["pod-1"], c.holding["pod-2"] = []string{current}, []string{current, old}
	state, d, err := b.rotator.Observe(t.Context(), b.secret)
	if err != nil || !strings.Contains(d.Reason, "waiting for 2 of 3 instances") {
		t.Errorf("the plan says %q, %v", d.Reason, err)
	}
	served := func(s rotation.State) bool { return !s.Progress.Versions[current].ServedAt.IsZero() }
	if served(state) {
		t.Error("it counts as served already")
	}
	c.holding["pod-2"], c.holding["pod-3"] = []string{current}, []string{current}
	if r := b.advance(t, rotation.Options{}); steps(r) != "reload" {
		t.Errorf("once they report the new one, it did %q: %s", steps(r), r.Last.Reason)
	}
	if state, _, err = b.rotator.Observe(t.Context(), b.secret); err != nil || !served(state) {
		t.Errorf("it isn't served: %v", err)
	}
	if n := len(b.reloader.History()); n != 3 {
		t.Errorf("it was reloaded %d times", n)
	}
}
