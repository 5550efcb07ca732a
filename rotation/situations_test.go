package rotation_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

var update = flag.Bool("update", false, "write what's decided now to testdata")

// situation is a state at one moment. testdata/decisions.txt says what's decided
// in it, when nobody asks for anything and when a person asks for each step: read
// the diff after -update as you'd read a change of the rules.
type situation struct {
	name   string
	state  rotation.State
	policy rotation.Policy
	now    time.Time
}

// change is one thing that's different from a plain state.
type change func(*situation)

func sit(name string, st rotation.State, now time.Time, changes ...change) situation {
	s := situation{name: name, state: st, policy: policy90, now: now}
	for _, f := range changes {
		f(&s)
	}
	return s
}

// The changes. A version is named by its label, a credential by its id.

func policy(f func(*rotation.Policy)) change { return func(s *situation) { f(&s.policy) } }

func traits(f func(*rota.Traits)) change { return func(s *situation) { f(&s.state.Traits) } }

func progress(f func(*rotation.Progress)) change {
	return func(s *situation) { f(&s.state.Progress) }
}

func state(f func(*rotation.State)) change { return func(s *situation) { f(&s.state) } }

func version(l rota.Label, f func(*rota.Version)) change {
	return func(s *situation) {
		for i := range s.state.Contents.Versions {
			if v := &s.state.Contents.Versions[i]; v.Has(l) {
				f(v)
				return
			}
		}
		panic("no version is " + string(l))
	}
}

func done(l rota.Label, f func(*rotation.VersionProgress)) change {
	return func(s *situation) {
		v, _ := rota.Find(s.state.Contents.Versions, l)
		vp := s.state.Progress.Versions[v.ID]
		f(&vp)
		s.state.Progress.Versions[v.ID] = vp
	}
}

func issued(id string, f func(*rota.Issued)) change {
	return func(s *situation) {
		for i := range s.state.Issued {
			if s.state.Issued[i].ID == id {
				f(&s.state.Issued[i])
				return
			}
		}
		s.state.Issued = append(s.state.Issued, rota.Issued{ID: id, Active: true, Use: never})
		f(&s.state.Issued[len(s.state.Issued)-1])
	}
}

func gone(id string) change {
	return func(s *situation) {
		var left []rota.Issued
		for _, c := range s.state.Issued {
			if c.ID != id {
				left = append(left, c)
			}
		}
		s.state.Issued = left
	}
}

func inactive(i *rota.Issued)          { i.Active = false }
func foreign(v *rota.Version)          { v.ID = "foreign-" + v.CredentialID }
func unlisting(s *rotation.State)      { s.Lists, s.Listed, s.Issued = false, false, nil }
func unasked(s *rotation.State)        { s.Listed, s.Issued = false, nil }
func undeactivating(s *rotation.State) { s.CanDeactivate = false }

// endsOn gives a listed credential an end.
func endsOn(id string, when time.Time) change {
	return issued(id, func(i *rota.Issued) { i.ExpiresAt = when })
}

// expiring makes the credentials end by themselves after 30 days.
func expiring(s *situation) {
	s.state.Traits = rota.Traits{Kind: "token", IssuerChooses: true, Lifetime: 30 * rota.Day, Limit: 0}
	s.state.Lists, s.state.Listed, s.state.Issued, s.state.CanDeactivate = false, false, nil, false
	s.policy = rotation.Policy{}
}

// single makes the credential the password of a single role.
func single(s *situation) {
	s.state.Traits = pgLike
	s.state.Issued = []rota.Issued{{ID: "A", Active: true}}
	for i := range s.state.Contents.Versions {
		s.state.Contents.Versions[i].CredentialID = "A"
	}
}

// pair makes the credentials the passwords of two roles in turn.
func pair(s *situation) {
	s.state.Traits = rota.Traits{Kind: "password", Limit: 2}
	for i := range s.state.Issued {
		s.state.Issued[i].CreatedAt = time.Time{}
	}
}

// pending adds a new credential on its way, made on that day.
func pending(credential string, day int, f func(*rotation.VersionProgress)) change {
	return func(s *situation) {
		s.state.Contents.Versions = append(s.state.Contents.Versions, rota.Version{
			ID: "rota-new", Labels: []rota.Label{rota.LabelPending}, CreatedAt: at(day), CredentialID: credential,
		})
		vp := rotation.VersionProgress{CredentialID: credential}
		f(&vp)
		s.state.Progress.Versions["rota-new"] = vp
	}
}

func failure(step rota.Step, attempts int, retry time.Time, remedies ...rota.Remedy) change {
	return progress(func(p *rotation.Progress) {
		p.Failure = &rotation.Failure{Step: step, Error: "no", At: retry.Add(-time.Hour), Attempts: attempts, RetryAt: retry, Remedies: remedies}
	})
}

// drive has a driver ask for a step of a version it announced.
func drive(step rota.Step, f func(*rota.Version, *rotation.Driving)) change {
	return func(s *situation) {
		v := rota.Version{ID: "driven", Labels: []rota.Label{rota.LabelPending}, CreatedAt: s.now, Empty: step == rota.StepCreate}
		if !v.Empty {
			v.Labels = append(v.Labels, rota.LabelMade(v.ID))
			v.CredentialID = "C"
		}
		d := &rotation.Driving{DriveRequest: rotation.DriveRequest{Step: step, Version: v.ID}}
		f(&v, d)
		s.state.Contents.Versions = append(s.state.Contents.Versions, v)
		s.state.Driver = d
	}
}

func plainly(*rota.Version, *rotation.Driving) {}

// empty is a secret that nothing was ever issued for.
func empty() rotation.State {
	return rotation.State{Secret: "s", Traits: iamLik, Lists: true, Listed: true, CanDeactivate: true, Progress: rotation.Progress{Versions: map[string]rotation.VersionProgress{}}}
}

func TestDecisions(t *testing.T) {
	var out strings.Builder
	for _, s := range situations() {
		out.WriteString(s.name + "\n")
		plain := rotation.Plan(s.state, s.policy, s.now)
		if s.state.Adoptable() {
			out.WriteString("\tthe store holds what can be adopted\n")
		}
		out.WriteString("\t" + day(s.now) + ": " + said(plain, s.now) + "\n")
		for _, asked := range whenAsked(s, plain) {
			out.WriteString("\t" + asked + "\n")
		}
		// It stays that way until it's time to look again.
		if plain.Step == rota.StepNone && plain.At.After(s.now) {
			if before := rotation.Plan(s.state, s.policy, plain.At.Add(-1)); plain.Hold == rotation.HoldNone && (before.Step != plain.Step || before.Hold != plain.Hold || before.Next != plain.Next) {
				t.Errorf("%s: it says to look again on %s, but just before it's %s", s.name, day(plain.At), said(before, plain.At))
			}
			if then := rotation.Plan(s.state, s.policy, plain.At); then.Step != plain.Step || then.Hold != plain.Hold || then.Next != plain.Next {
				out.WriteString("\tthen, on " + day(plain.At) + ": " + said(then, plain.At) + "\n")
			}
		}
		out.WriteString("\n")
	}
	golden(t, "testdata/decisions.txt", out.String())
}

// whenAsked is what's decided when a person asks for a step, where that makes a
// difference: before it was taken in that turn, and after.
func whenAsked(s situation, plain rotation.Decision) []string {
	if s.state.Driver != nil {
		return nil
	}
	var decisions []string
	asked := map[string][]string{}
	for _, step := range []rota.Step{rota.StepCreate, rota.StepDeactivate, rota.StepDelete} {
		for _, force := range []rota.Step{step, rota.StepNone} {
			st, what := s.state, string(step)
			if force == rota.StepNone {
				what = "once that's done (" + what + ")"
			}
			st.Force, st.Requested = force, step
			d := said(rotation.Plan(st, s.policy, s.now), s.now)
			if d == said(plain, s.now) {
				continue
			}
			if asked[d] == nil {
				decisions = append(decisions, d)
			}
			asked[d] = append(asked[d], what)
		}
	}
	for i, d := range decisions {
		decisions[i] = "asked to " + strings.Join(asked[d], ", or ") + ": " + d
	}
	return decisions
}

// golden compares a text with the file that has it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s: (run with -update if that's right, and read the diff)\n%s", path, diff)
	}
}

// day says a time as a day of the secret's life.
func day(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	since := at.Sub(day0)
	n := int(since / rota.Day)
	if rest := since % rota.Day; rest != 0 {
		return fmt.Sprintf("day %d and %s", n, rest)
	}
	return fmt.Sprintf("day %d", n)
}

// said puts all of a decision in words.
func said(d rotation.Decision, now time.Time) string {
	var s string
	switch {
	case d.Observe:
		return "look at what the issuer has"
	case d.Tell:
		s = "ask whether the current credential is in force"
	case d.FindHolders:
		s = "ask who holds the previous credential before " + string(d.Next)
	case d.Prove:
		s = "ask whether everything is ready to " + string(d.Next)
	case d.Hold != rotation.HoldNone:
		s = fmt.Sprintf("HOLD (%s) before %s", d.Hold, d.Next)
	case d.Step != rota.StepNone:
		s = string(d.Step)
	case d.Next != rota.StepNone:
		s = "wait for " + string(d.Next)
	default:
		s = "nothing"
	}
	if d.Version != "" || d.Credential != "" {
		s += fmt.Sprintf(" %s (%s)", d.Version, d.Credential)
	}
	if !d.Due.IsZero() {
		s += ", due " + day(d.Due)
	}
	if !d.At.IsZero() {
		s += ", look again " + day(d.At)
	}
	s += ": " + strings.TrimPrefix(d.Reason, "hold: ")
	for _, r := range d.Remedies {
		s += "\n\t\t→ " + strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %q then %q also %t", r.Action, r.Secret, r.Verb, r.Object, r.Text, r.Then, r.Also)), " ")
	}
	s = strings.ReplaceAll(s, ` then ""`, "")
	s = strings.ReplaceAll(s, ` also false`, "")
	return strings.ReplaceAll(s, ` ""`, "")
}
