package rotation_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

var errPlanted = errors.New("planted fault")

// aLife is the bench's secret from its first issue to the deletion of the
// credential that was replaced, with two of every part.
type aLife struct {
	*bench
	targets   []*memory.Target
	reloaders []*memory.Reloader
	// The calls of op fail from number from on, before or after they act, until
	// the turn is over.
	op      string
	from    int
	after   bool
	calls   map[string]int
	planted int
	over    bool
}

func newLife(kind string) *aLife {
	l := &aLife{bench: &bench{now: day0}, calls: map[string]int{}}
	faults := func(c memory.Call) memory.Fault {
		l.calls[c.Op]++
		switch {
		case c.Op != l.op || l.calls[c.Op] < l.from || l.over:
			return memory.Fault{}
		case l.after:
			l.planted++
			return memory.Fault{After: errPlanted}
		}
		l.planted++
		return memory.Fault{Before: errPlanted}
	}
	l.build(faults)
	o := memory.Options{Now: func() time.Time { return l.now }, Faults: faults}
	switch kind {
	case "a password":
		l.secret.Issuer = memory.NewPassword("app", memory.RolesOptions{Options: o})
	case "a pair of passwords":
		l.secret.Issuer = memory.NewAlternating("a", "b", memory.RolesOptions{Options: o})
	}
	for _, name := range []string{"first", "second"} {
		l.targets = append(l.targets, memory.NewTarget(name, o))
		l.reloaders = append(l.reloaders, memory.NewReloader(name, nil, o))
	}
	l.secret.Targets = []rota.Target{l.targets[0], l.targets[1]}
	l.secret.Reloaders = []rota.Reloader{l.reloaders[0], l.reloaders[1]}
	l.secret.Checks = []rota.Check{memory.NewCheck("query", nil, o)}
	return l
}

// play plays the whole life. A turn that fails is followed by others, as the
// daemon would have them, until it's done what was due.
func (l *aLife) play(t *testing.T) (failures []error) {
	t.Helper()
	for i, days := range []int{0, 90, 10, 10, 25, 11} { // the last two for what was late
		l.days(days)
		for try := 0; ; try++ {
			o := rotation.Options{}
			if i == 0 && l.unissued(t) {
				o.Force = rota.StepCreate // where the issuer can't say that there is none
			}
			before := len(l.journal.Entries())
			r, err := l.rotator.Advance(t.Context(), l.secret, o)
			if told := l.untold(r, err, l.journal.Entries()[before:]); told != nil {
				t.Error(told)
			}
			if err == nil && !l.pending(t) {
				break
			}
			if err != nil {
				failures = append(failures, err)
			}
			l.over = l.planted > 0
			if try == 12 {
				t.Fatalf("on day %d, it still fails after %d turns: %v", days, try, err)
			}
			l.now = l.now.Add(time.Hour)
		}
		l.now = l.now.Truncate(rota.Day).Add(9 * time.Hour)
	}
	return failures
}

// unissued reports whether the store holds nothing yet.
func (l *aLife) unissued(t *testing.T) bool {
	t.Helper()
	c, err := l.store.Describe(t.Context())
	return err != nil || len(c.Versions) == 0
}

// untold returns what a turn did, or failed to do, that its audit doesn't have.
func (l *aLife) untold(r rotation.Result, err error, entries []rotation.Entry) error {
	has := func(step rota.Step, version string, o rotation.Outcome) bool {
		return slices.ContainsFunc(entries, func(e rotation.Entry) bool {
			return e.Step == string(step) && (e.Version == version || version == "") && e.Outcome == o
		})
	}
	for _, d := range r.Done {
		if d.Step != rota.StepSet && !has(d.Step, d.Version, rotation.OutcomeSucceeded) { // a set may find that nothing's left to put back
			return fmt.Errorf("the audit doesn't say that %s %s was done:\n%s", d.Step, d.Version, audited(entries))
		}
	}
	if d := r.Last; err != nil && d.Step == rota.StepTest && !strings.Contains(err.Error(), "describe the store") && !has(d.Step, d.Version, rotation.OutcomeFailed) { // others have to be begun: see unpaired
		return fmt.Errorf("the audit doesn't say that %s %s failed (%w):\n%s", d.Step, d.Version, err, audited(entries))
	}
	return nil
}

// pending reports whether something is waited for that's due.
func (l *aLife) pending(t *testing.T) bool {
	t.Helper()
	st, _, err := l.rotator.Observe(t.Context(), l.secret)
	if err != nil {
		return true
	}
	d := rotation.Plan(st, l.secret.Policy, l.now)
	return d.Step != rota.StepNone || d.Hold == rotation.HoldRetrying || d.At.Before(l.now.Add(20*time.Minute)) && !d.At.IsZero()
}

// unpaired returns what's wrong with the audit: an effect that was begun has
// just one outcome.
func unpaired(entries []rotation.Entry) error {
	open := map[string]bool{}
	for i, e := range entries {
		if e.Step == string(rotation.StepNotify) {
			continue
		}
		key := e.Step + " " + e.Version + " " + e.Object
		switch {
		case e.Outcome == rotation.OutcomeBegun && open[key]:
			return fmt.Errorf("entry %d: %s is begun twice", i, key)
		case e.Outcome == rotation.OutcomeSucceeded && !open[key] && e.Step != string(rota.StepTest): // a test changes nothing
			return fmt.Errorf("entry %d: %s succeeded, but wasn't begun", i, key)
		}
		open[key] = e.Outcome == rotation.OutcomeBegun
	}
	for _, key := range slices.Sorted(maps.Keys(open)) {
		if open[key] {
			return fmt.Errorf("%s was begun, and nothing says how it ended", key)
		}
	}
	return nil
}

// audited puts the audit in short words.
func audited(entries []rotation.Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s: %s %s", e.At.Format("01-02 15:04"), e.Step, e.Version, e.Object, e.Outcome, e.Detail)))
	}
	return strings.Join(out, "\n")
}

// Whichever call fails for a whole turn, before or after it acts: the audit says
// how everything that was begun ended, nothing that was done is done again, and
// the life ends as it would have.
func TestALifeGoesOnWhicheverCallFails(t *testing.T) {
	for _, kind := range []string{"a key", "a password", "a pair of passwords"} {
		plain := newLife(kind)
		if failures := plain.play(t); len(failures) > 0 {
			t.Fatalf("%s fails without a fault: %v", kind, failures)
		}
		if err := unpaired(plain.journal.Entries()); err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, audited(plain.journal.Entries()))
		}
		want := labels(t, plain.store)
		for _, op := range slices.Sorted(maps.Keys(plain.calls)) {
			if strings.HasPrefix(op, "journal.") || strings.HasPrefix(op, "notifier.") || op == "issuer.last_used" { // which isn't a failure, but means in use
				continue
			}
			for from := 1; from <= plain.calls[op]; from++ {
				for _, after := range []bool{false, true} {
					name := fmt.Sprintf("%s, %s %d, after it acts: %t", kind, op, from, after)
					t.Run(name, func(t *testing.T) {
						l := newLife(kind)
						l.op, l.from, l.after = op, from, after
						failures := l.play(t)
						entries := l.journal.Entries()
						if l.planted == 0 {
							return
						}
						if err := unpaired(entries); err != nil {
							t.Errorf("%v\n%s", err, audited(entries))
						}
						for _, err := range failures {
							if !strings.Contains(err.Error(), errPlanted.Error()) {
								t.Errorf("a turn failed for another reason: %v", err)
							}
						}
						if kind != "a key" {
							if got := labels(t, l.store); got != want {
								t.Errorf("it ends with %s, want %s", got, want)
							}
						}
						l.check(t)
					})
				}
			}
		}
	}
}

// check checks how a life ended.
func (l *aLife) check(t *testing.T) {
	t.Helper()
	contents, err := l.store.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	current, _ := rota.Find(contents.Versions, rota.LabelCurrent)
	c, err := l.store.Get(t.Context(), rota.GetRequest{Version: current.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range l.targets {
		if has, _ := target.Current(); !has.Credential.Equal(c) {
			t.Errorf("%s doesn't have the current credential", target.Name())
		}
	}
	if lister, ok := l.secret.Issuer.(rota.Lister); ok {
		issued, err := lister.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(issued) != 1 || issued[0].ID != l.secret.Issuer.CredentialID(c) || !issued[0].Active {
			t.Errorf("the issuer has %v, want %s alone:\n%s", issued, l.secret.Issuer.CredentialID(c), audited(l.journal.Entries()))
		}
	}
	delivered := map[string]int{}
	for _, e := range l.journal.Entries() {
		if (e.Step == string(rota.StepDeliver) || e.Step == string(rota.StepReload)) && e.Outcome == rotation.OutcomeSucceeded {
			delivered[e.Step+" "+e.Version+" "+e.Object]++
		}
	}
	for what, n := range delivered {
		if n > 1 {
			t.Errorf("%s was done %d times:\n%s", what, n, audited(l.journal.Entries()))
		}
	}
}
