package rotation_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

func TestWhatADriverIsRefused(t *testing.T) {
	announced := func(f func(*rota.Version, *rotation.Driving)) func(*rota.Version, *rotation.Driving) { return f }
	empty := announced(func(v *rota.Version, _ *rotation.Driving) { v.Empty = true })
	rival := state(func(s *rotation.State) { s.Rivals = []rotation.Rival{{Reason: "other claims it too"}} })
	based := func(on string) change {
		return func(s *situation) { s.state.Progress.Versions["driven"] = rotation.VersionProgress{Base: on} }
	}
	for _, test := range []struct {
		situation
		want string
	}{
		{sit("a key is tested", served(), at(90), drive(rota.StepTest, plainly)), ""},
		{sit("no step of a rotation", served(), at(90), drive(rota.StepDelete, plainly)), "no such step"},
		{sit("only a person can rotate it", served(), at(90), drive(rota.StepSet, plainly), traits(func(t *rota.Traits) { t.Manual = true })), "only a person"},
		{sit("no such version", served(), at(90), drive(rota.StepSet, func(_ *rota.Version, d *rotation.Driving) { d.Version = "another" })), "no version another"},
		{sit("the version is current already", served(), at(90), drive(rota.StepSet, func(v *rota.Version, _ *rotation.Driving) { v.Labels = []rota.Label{rota.LabelCurrent} })), ""},
		{sit("the version has lost AWSPENDING", served(), at(90), drive(rota.StepSet, func(v *rota.Version, _ *rotation.Driving) { v.Labels = v.Labels[1:] })), "does not carry AWSPENDING"},
		{sit("nothing to set yet", served(), at(90), drive(rota.StepSet, empty)), "no value yet"},
		{sit("nothing to promote yet", served(), at(90), drive(rota.StepPromote, empty)), "no value yet"},
		{sit("nothing to test yet: a rehearsal", served(), at(90), drive(rota.StepTest, empty)), ""},
		{sit("somebody else's value", served(), at(90), drive(rota.StepTest, func(v *rota.Version, _ *rotation.Driving) { v.Labels = v.Labels[:1] })), "not put there by Rota"},
		{sit("a copy of the current value: a rehearsal", served(), at(90), drive(rota.StepTest, func(v *rota.Version, d *rotation.Driving) { v.Labels, d.Rehearsal = v.Labels[:1], true })), ""},
		{sit("a rival, and nothing is made yet", served(), at(90), drive(rota.StepCreate, plainly), rival), "other claims it too"},
		{sit("a rival, and it's made already", served(), at(90), drive(rota.StepCreate, func(v *rota.Version, _ *rotation.Driving) {
			v.Empty, v.Labels = false, append(v.Labels, rota.LabelMade(v.ID))
		}), rival), ""},
		{sit("a rival, and a password isn't set yet", served(), at(90), single, drive(rota.StepSet, plainly), rival), "other claims it too"},
		{sit("a rival, and a test changes nothing", served(), at(90), single, drive(rota.StepTest, plainly), rival), ""},
		{sit("the current one isn't Rota's", served(), at(90), version(rota.LabelCurrent, foreign), drive(rota.StepCreate, plainly)), "was not made by Rota"},
		{sit("the current one isn't Rota's, and is to be adopted", served(), at(90), version(rota.LabelCurrent, foreign), drive(rota.StepCreate, func(_ *rota.Version, d *rotation.Driving) { d.Adopt = true })), ""},
		{sit("the current one isn't Rota's, and the next is tested", served(), at(90), version(rota.LabelCurrent, foreign), drive(rota.StepTest, empty)), ""},
		{sit("the current one isn't Rota's, and the next is made already", served(), at(90), version(rota.LabelCurrent, foreign), drive(rota.StepCreate, func(v *rota.Version, _ *rotation.Driving) {
			v.Empty, v.Labels = false, append(v.Labels, rota.LabelMade(v.ID))
		})), ""},
		{sit("there's no current one", nothing(), at(90), drive(rota.StepCreate, plainly)), ""},
		{sit("another version became current", served(), at(90), drive(rota.StepPromote, plainly), based("rota-0")), "AWSCURRENT was moved to version rota-1 meanwhile"},
		{sit("another version became current, and it's only tested", served(), at(90), drive(rota.StepTest, plainly), based("rota-0")), ""},
		{sit("nothing else became current", served(), at(90), drive(rota.StepPromote, plainly), based("rota-1")), ""},
		{sit("nobody knows what was current", served(), at(90), drive(rota.StepPromote, plainly), based("")), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := rotation.RefuseDriver(test.state, test.policy, test.now)
			if test.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one with %q", err, test.want)
			}
			if moved := strings.Contains(test.want, "moved"); moved != errors.Is(err, rota.ErrConflict) {
				t.Errorf("a conflict: %t", !moved)
			}
		})
	}
}

func nothing() rotation.State { return empty() }

// What a person can do about errors that no plan is made for.
func TestWaysOut(t *testing.T) {
	full := issued("X", func(*rota.Issued) {})
	locked := issued("A", func(i *rota.Issued) { i.Active, i.Unlock = false, "unlock it" })
	off := func(s *situation) {
		issued("A", inactive)(s)
		done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })(s)
	}
	var out strings.Builder
	for _, s := range []situation{
		sit("one key", served(), at(10)),
		sit("one key, inactive", served(), at(10), issued("A", inactive)),
		sit("one key, gone", served(), at(10), gone("A")),
		sit("one key, gone, strangers in its place", served(), at(10), gone("A"), full, issued("Y", inactive)),
		sit("one key of an issuer that can't list", served(), at(10), state(unlisting)),
		sit("what expires", served(), at(10), expiring),
		sit("what expires, and one before it", rotated(never), at(95), expiring),
		sit("a single role", served(), at(10), single),
		sit("a single role without a password", served(), at(10), single, gone("A")),
		sit("a single role, with a previous password", rotated(never), at(95), single),
		sit("a single role, locked", served(), at(10), single, locked),
		sit("a role of a pair, locked", served(), at(10), pair, locked),
		sit("two keys", rotated(never), at(95)),
		sit("two keys, the current one inactive", rotated(never), at(95), issued("B", inactive)),
		sit("two keys, the current one gone", rotated(never), at(95), gone("B")),
		sit("two keys, the current one gone, the previous inactive", rotated(never), at(105), gone("B"), off),
		sit("two keys, the previous one inactive", rotated(never), at(105), off),
		sit("two keys, the previous one gone", rotated(never), at(95), gone("A")),
		sit("two keys, both inactive, the previous one not Rota's", rotated(never), at(95), issued("A", inactive), issued("B", inactive), version(rota.LabelPrevious, foreign)),
		sit("two keys, both inactive, the current one not Rota's", rotated(never), at(95), issued("A", inactive), issued("B", inactive), version(rota.LabelCurrent, foreign)),
		sit("two keys, both gone, strangers in their places", rotated(never), at(95), gone("A"), gone("B"), full, issued("Y", func(*rota.Issued) {})),
		sit("two keys, the current one gone, a stranger in its place, and the previous one inactive", rotated(never), at(105), gone("B"), off, full),
		sit("two keys, both gone", rotated(never), at(95), gone("A"), gone("B")),
		sit("two keys, the current one gone, the previous one not Rota's", rotated(never), at(95), gone("B"), version(rota.LabelPrevious, foreign)),
		sit("two keys, neither Rota's, the current one gone", rotated(never), at(95), gone("B"), version(rota.LabelPrevious, foreign), version(rota.LabelCurrent, foreign)),
		sit("two keys, the previous one not Rota's", rotated(never), at(95), version(rota.LabelPrevious, foreign)),
		sit("one key in two versions, gone", rotated(never), at(95), gone("B"), version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = "A" }), gone("A")),
		sit("one key in two versions", rotated(never), at(95), gone("B"), version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = "A" })),
		sit("two keys, and a rotation under way", rotated(never), at(95), gone("B"), pending("C", 95, func(*rotation.VersionProgress) {}), issued("C", func(*rota.Issued) {}), full),
	} {
		out.WriteString(s.name + "\n")
		ways := rotation.WaysOut(s.state, s.policy, s.now)
		for _, what := range slices.Sorted(maps.Keys(ways)) {
			out.WriteString("\t" + what + "\n")
			for _, r := range ways[what] {
				fmt.Fprintf(&out, "\t\t→ %s\n", strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %q then %s", r.Action, r.Verb, r.Object, r.Text, r.Then)), " "))
			}
		}
	}
	golden(t, "testdata/waysout.txt", strings.ReplaceAll(out.String(), " then\n", "\n"))
}

func TestWhatCannotBeGivenOutAgain(t *testing.T) {
	noted := state(func(s *rotation.State) {
		s.Contents.Versions = append(s.Contents.Versions,
			rota.Version{ID: "rota-9", Labels: []rota.Label{rota.LabelDeactivated}, CredentialID: "D"},
			rota.Version{ID: "rota-8", Labels: []rota.Label{rota.LabelPending}})
	})
	for _, test := range []struct {
		situation
		want []string
	}{
		{sit("what the list has", rotated(never), at(95), issued("X", func(*rota.Issued) {}), noted), []string{"A", "B", "X"}},
		{sit("what's in service, if there's no list", rotated(never), at(95), pending("C", 95, func(*rotation.VersionProgress) {}), state(unlisting), noted), []string{"A", "B", "C"}},
		{sit("what's in service, if the list isn't known", rotated(never), at(95), state(unasked), noted), []string{"A", "B"}},
		{sit("a single role's name", served(), at(95), single, issued("X", func(*rota.Issued) {})), []string{"A"}},
	} {
		if diff := cmp.Diff(test.want, rotation.TakenIn(test.state)); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

// A plan looks ahead, and changes nothing in what it was given.
func TestProjections(t *testing.T) {
	var out strings.Builder
	halted := state(func(s *rotation.State) { s.Told = true })
	serves := state(func(s *rotation.State) { s.Targets, s.Reloaders = []string{"t"}, []string{"r"} })
	mondays, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	unverified := func(since time.Time, stops bool) change {
		return state(func(s *rotation.State) {
			s.Tells, s.Unverified = true, &rotation.Unverified{Since: since, Stops: stops, Reason: "no answer"}
		})
	}
	neighbor := func(p rotation.Peer) change {
		p.Apart = rotation.Apart{Secret: "a", By: 12 * time.Hour}
		return state(func(s *rotation.State) { s.Peers = []rotation.Peer{p} })
	}
	rejected := func(vp *rotation.VersionProgress) { vp.SetBegunAt, vp.Rejected = at(90), "no" }
	for _, s := range []situation{
		sit("nothing yet", empty(), day0),
		sit("a key", served(), at(10), serves, halted),
		sit("a key, in use until now", rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(100)}), at(100)),
		sit("a key, a look finds in use", rotated(rota.Use{Evidence: rota.EvidenceSampled, At: at(100)}), at(100)),
		sit("a key, and its date is the end", served(), at(10), policy(func(p *rotation.Policy) { p.RotateEvery = 410 * rota.Day })),
		sit("a key, before_create", served(), at(10), policy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate })),
		sit("a password", served(), at(90), single, state(func(s *rotation.State) { s.Names = []string{"A"} })),
		sit("a password without a name", served(), at(90), single),
		sit("a first password", empty(), at(90), func(s *situation) { s.state.Traits = pgLike }),
		sit("a password that wasn't accepted", served(), at(90), single, pending("A", 90, rejected)),
		sit("a key that wasn't accepted", served(), at(90), pending("C", 90, rejected), issued("C", func(*rota.Issued) {})),
		sit("a pair", served(), at(90), pair, state(func(s *rotation.State) { s.Names = []string{"A", "B"} })),
		sit("what expires", served(), at(10), expiring),
		sit("a rollback", rotated(never), at(95), progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-1", At: at(94)}
		})),
		sit("a rollback that didn't work", rotated(never), at(95), single, progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-1", At: at(94), Rejected: "no"}
		})),
		sit("asked for after a rollback", rotated(never), at(180), gone("A"), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) }), state(func(s *rotation.State) { s.Force = rota.StepCreate })),
		sit("a key whose use is sampled, and the next is due in its grace", rotated(rota.Use{Evidence: rota.EvidenceSampled}), at(91), policy(func(p *rotation.Policy) { p.RotateEvery = 5 * rota.Day })),
		sit("an old key, and the window is closed", served(), at(90), policy(func(p *rotation.Policy) { p.Window = mondays })),
		sit("not verified for an hour", served(), at(10), single, unverified(at(10).Add(-time.Hour), false)),
		sit("not verified for days", served(), at(10), single, unverified(at(5), false)),
		sit("never verified", served(), at(10), single, unverified(at(5), true)),
		sit("a neighbor is being rotated", served(), at(90), neighbor(rotation.Peer{BegunAt: at(90)})),
		sit("a neighbor goes first", served(), at(90), neighbor(rotation.Peer{RotateAt: at(90)})),
		sit("a neighbor was just rotated", served(), at(90), neighbor(rotation.Peer{IssuedAt: at(90)})),
		sit("asked to deactivate", rotated(never), at(95), state(func(s *rotation.State) { s.Force, s.Requested = rota.StepDeactivate, rota.StepDeactivate })),
		sit("asked to deactivate again, when it's to be deleted", rotated(never), at(110), issued("A", inactive), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) }),
			state(func(s *rotation.State) { s.Force, s.Requested = rota.StepDeactivate, rota.StepDeactivate })),
		sit("was asked to deactivate", rotated(never), at(95), state(func(s *rotation.State) { s.Requested = rota.StepDeactivate })),
		sit("a retry", served(), at(90), failure(rota.StepCreate, 3, at(91))),
		sit("given up", served(), at(90), failure(rota.StepCreate, 20, at(91))),
		sit("the promoted one still carries AWSPENDING", served(), at(89), version(rota.LabelCurrent, func(v *rota.Version) { v.Labels = append(v.Labels, rota.LabelPending) })),
		sit("nothing is remembered", served(), at(90), progress(func(p *rotation.Progress) { p.Versions = nil })),
		sit("a key, held by a consumer", rotated(never), at(100), state(func(s *rotation.State) {
			s.AsksHolders, s.Holdings = true, []rotation.Holding{{Reason: "by pod-1"}}
		})),
		sit("not in force any more, and the next is due", served(), at(90), pair, state(func(s *rotation.State) { s.Tells, s.Drifted = true, true })),
		sit("not in force any more", served(), at(10), pair, state(func(s *rotation.State) { s.Tells, s.Drifted = true, true })),
	} {
		out.WriteString(s.name + "\n")
		n := 0
		for p := range rotation.Project(s.state, s.policy, s.now, day0.AddDate(0, 0, 410)) {
			if n++; n > 24 {
				break
			}
			fmt.Fprintf(&out, "\t%s: %s\n", day(p.At), said(p.Decision, p.At))
		}
	}
	golden(t, "testdata/projections.txt", out.String())
}

func TestAProjectionChangesNothing(t *testing.T) {
	again := situations()
	for i, s := range situations() {
		n := 0
		for range rotation.Project(s.state, s.policy, s.now, s.now.Add(9*rota.Day)) {
			if n++; n > 20 {
				break
			}
		}
		rotation.Plan(s.state, s.policy, s.now)
		ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Chain" }, cmp.Ignore())
		if diff := cmp.Diff(again[i].state, s.state, ignore, cmp.AllowUnexported(rotation.Instances{})); diff != "" {
			t.Errorf("%s:\n%s", s.name, diff)
		}
	}
}
