package rotation_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

var (
	day0   = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	iamLik = rota.Traits{Kind: "access key", IssuerChooses: true, Limit: 2, ConsistencyDelay: 10 * time.Second}
	pgLike = rota.Traits{Kind: "password", Limit: 1}
)

func at(days int) time.Time { return day0.Add(time.Duration(days) * rota.Day) }

// served is a state in which key A was made by Rota on day 0 and is served.
func served() rotation.State {
	return rotation.State{
		Secret: "s", Traits: iamLik, Lists: true, Listed: true, CanDeactivate: true,
		Contents: rota.Contents{
			Versions:  []rota.Version{{ID: "rota-1", Labels: []rota.Label{rota.LabelCurrent, rota.LabelServed}, CreatedAt: day0, CredentialID: "A"}},
			ChangedAt: day0,
		},
		Issued: []rota.Issued{{ID: "A", Active: true, CreatedAt: day0}},
		Progress: rotation.Progress{Versions: map[string]rotation.VersionProgress{
			"rota-1": {CredentialID: "A", TestedAt: day0, PromotedAt: day0, ServedAt: day0},
		}},
	}
}

// rotated is a state in which key B replaced A on day 90.
func rotated(use rota.Use) rotation.State {
	st := served()
	st.Contents.Versions = []rota.Version{
		{ID: "rota-1", Labels: []rota.Label{rota.LabelPrevious}, CreatedAt: day0, CredentialID: "A"},
		{ID: "rota-2", Labels: []rota.Label{rota.LabelCurrent, rota.LabelServed}, CreatedAt: at(90), CredentialID: "B"},
	}
	st.Issued = []rota.Issued{{ID: "A", Active: true, CreatedAt: day0, Use: use}, {ID: "B", Active: true, CreatedAt: at(90)}}
	st.Progress.Versions["rota-2"] = rotation.VersionProgress{CredentialID: "B", PromotedAt: at(90), ServedAt: at(90)}
	return st
}

var never = rota.Use{Evidence: rota.EvidenceRecorded}

func TestPlan(t *testing.T) {
	window := func() *rotation.Window {
		w, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	with := func(st rotation.State, f func(*rotation.State)) rotation.State { f(&st); return st }
	withPolicy := func(f func(*rotation.Policy)) rotation.Policy { p := policy90; f(&p); return p }
	for _, test := range []struct {
		name   string
		state  rotation.State
		policy rotation.Policy
		now    time.Time
		step   rota.Step
		hold   rotation.HoldKind
		next   rota.Step
		at     time.Time
		reason string
	}{
		{name: "a young credential waits for its age", state: served(), policy: policy90, now: at(10), next: rota.StepCreate, at: at(90)},
		{name: "an old one is replaced", state: served(), policy: policy90, now: at(90), step: rota.StepCreate, reason: "90d old"},
		{name: "without rotate_every nothing is due", state: served(), now: at(900), reason: "no rotate_every"},
		{name: "the window is waited for", state: served(), policy: withPolicy(func(p *rotation.Policy) { p.Window = window() }), now: at(90),
			next: rota.StepCreate, at: time.Date(2026, 4, 6, 9, 0, 0, 0, time.UTC)},
		{name: "a person does not wait for the window", state: with(served(), func(s *rotation.State) { s.Force = rota.StepCreate }),
			policy: withPolicy(func(p *rotation.Policy) { p.Window = window() }), now: at(1), step: rota.StepCreate, reason: "asked for"},
		{name: "without the issuer's list it asks for it", state: with(served(), func(s *rotation.State) { s.Listed = false }), policy: policy90, now: at(90), reason: "list is needed"},
		{name: "what is not Rota's is held", state: with(served(), func(s *rotation.State) { s.Contents.Versions[0].ID = "9e1f3b1a-foreign" }), policy: policy90, now: at(90),
			hold: rotation.HoldNotAdopted, next: rota.StepCreate, at: at(90).Add(time.Hour), reason: "rota adopt s"},
		{name: "a foreign AWSPENDING is held", state: with(served(), func(s *rotation.State) {
			s.Contents.Versions = append(s.Contents.Versions, rota.Version{ID: "foreign", Labels: []rota.Label{rota.LabelPending}, CreatedAt: at(80)})
		}), policy: policy90, now: at(90), hold: rotation.HoldForeignChange, next: rota.StepCreate, at: at(90).Add(time.Hour), reason: "foreign"},
		{name: "a foreign key in the second place is not touched", state: with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, rota.Issued{ID: "X", Active: true, CreatedAt: at(3), Use: never})
		}), policy: policy90, now: at(90), hold: rotation.HoldNoFreeSlot, next: rota.StepCreate, at: at(90).Add(time.Hour), reason: "X"},
		{name: "an inactive current credential is held", state: with(served(), func(s *rotation.State) { s.Issued = []rota.Issued{{ID: "A"}} }), policy: policy90, now: at(90),
			hold: rotation.HoldNotAtIssuer, next: rota.StepCreate, at: at(90).Add(10 * time.Minute), reason: "inactive at the issuer"},
		{name: "the grace is waited for", state: rotated(never), policy: policy90, now: at(99), next: rota.StepDeactivate, at: at(100)},
		{name: "after the grace the unused previous is deactivated", state: rotated(never), policy: policy90, now: at(100), step: rota.StepDeactivate},
		{name: "a use within the quiet time holds", state: rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(100).Add(-3 * time.Hour), Detail: "s3 in eu-central-1"}),
			policy: policy90, now: at(100), hold: rotation.HoldInUse, next: rota.StepDeactivate, at: at(107).Add(-3 * time.Hour), reason: "used 3h ago from s3 in eu-central-1"},
		{name: "a use before the quiet time does not hold", state: rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(92)}), policy: policy90, now: at(100), step: rota.StepDeactivate},
		{name: "not knowing means in use", state: rotated(rota.Use{}), policy: policy90, now: at(100), hold: rotation.HoldInUse, next: rota.StepDeactivate, at: at(100).Add(time.Hour), reason: "does not say"},
		{name: "one look without sessions is not proof", state: rotated(rota.Use{Evidence: rota.EvidenceSampled}), policy: policy90, now: at(100),
			hold: rotation.HoldInUse, next: rota.StepDeactivate, at: at(100).Add(7 * rota.Day / 4), reason: "0 looks"},
		{name: "an active credential is never deleted", state: with(rotated(never), func(s *rotation.State) {
			s.Progress.Versions["rota-1"] = rotation.VersionProgress{DeactivatedAt: at(100)}
		}), policy: policy90, now: at(200), step: rota.StepDeactivate},
		{name: "an inactive one is deleted after the second grace", state: with(rotated(never), func(s *rotation.State) {
			s.Issued[0].Active = false
			s.Progress.Versions["rota-1"] = rotation.VersionProgress{DeactivatedAt: at(100)}
		}), policy: policy90, now: at(110), step: rota.StepDelete},
		{name: "a late deactivation keeps the second grace whole", state: with(rotated(never), func(s *rotation.State) {
			s.Issued[0].Active = false
			s.Progress.Versions["rota-1"] = rotation.VersionProgress{DeactivatedAt: at(108)}
		}), policy: policy90, now: at(110), next: rota.StepDelete, at: at(118)},
		{name: "with before_create the previous stays until the next is due", state: rotated(never), policy: withPolicy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate }),
			now: at(179), next: rota.StepDeactivate, at: at(180), reason: "when the next rotation is due"},
		{name: "with before_create it is retired just before", state: rotated(never), policy: withPolicy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate }),
			now: at(180), step: rota.StepDeactivate},
		{name: "a previous version with the same credential is left alone", state: with(rotated(never), func(s *rotation.State) {
			s.Contents.Versions[0].CredentialID = "B"
			s.Issued = s.Issued[1:]
		}), policy: policy90, now: at(100), next: rota.StepCreate, at: at(180)},
		{name: "after a rollback nothing rotates by itself", state: with(rotated(never), func(s *rotation.State) {
			s.Contents.Versions[0].CreatedAt, s.Contents.Versions[1].CreatedAt = at(90), day0
			s.Issued[0].CreatedAt, s.Issued[1].CreatedAt = at(90), day0
		}), policy: policy90, now: at(95), hold: rotation.HoldRolledBack, next: rota.StepCreate, at: at(95).Add(time.Hour)},
		{name: "an orphan waits until the list has settled", state: with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, rota.Issued{ID: "O", Active: true, CreatedAt: at(90), Use: never})
			s.Progress.Intents = []rotation.Intent{{Version: "rota-2", At: at(90), Until: at(90).Add(30 * time.Second), Known: []string{"A"}}}
		}), policy: policy90, now: at(90).Add(5 * time.Second), next: rota.StepDelete, at: at(90).Add(40 * time.Second)},
		{name: "an orphan of an intent is deactivated first", state: with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, rota.Issued{ID: "O", Active: true, CreatedAt: at(90), Use: never})
			s.Progress.Intents = []rotation.Intent{{Version: "rota-2", At: at(90), Until: at(90).Add(30 * time.Second), Known: []string{"A"}}}
		}), policy: policy90, now: at(90).Add(time.Minute), step: rota.StepDeactivate, reason: "orphan"},
		{name: "an orphan that its name gives away is one whatever is known of its use and date", state: with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, rota.Issued{ID: "O", Active: true, Mark: "rota-2"})
			s.Progress.Intents = []rotation.Intent{{Version: "rota-2", At: at(90), Until: at(90).Add(30 * time.Second), Known: []string{"A"}}}
		}), policy: policy90, now: at(90).Add(time.Minute), step: rota.StepDeactivate, reason: "orphan"},
		{name: "the name of another version proves nothing", state: with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, rota.Issued{ID: "O", Active: true, Mark: "rota-9"})
			s.Progress.Intents = []rotation.Intent{{Version: "rota-2", At: at(90), Until: at(90).Add(30 * time.Second), Known: []string{"A"}}}
		}), policy: policy90, now: at(90).Add(time.Minute), hold: rotation.HoldNoFreeSlot, next: rota.StepCreate, at: at(90).Add(time.Hour + time.Minute)},
		{name: "a used key is no orphan", state: with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, rota.Issued{ID: "O", Active: true, CreatedAt: at(90), Use: rota.Use{Evidence: rota.EvidenceRecorded, At: at(90)}})
			s.Progress.Intents = []rotation.Intent{{Version: "rota-2", At: at(90), Until: at(90).Add(30 * time.Second), Known: []string{"A"}}}
		}), policy: policy90, now: at(90).Add(time.Minute), hold: rotation.HoldNoFreeSlot, next: rota.StepCreate, at: at(90).Add(time.Hour + time.Minute)},
		{name: "a first key is issued where there is none", state: rotation.State{Secret: "s", Traits: iamLik, Lists: true, Listed: true}, policy: policy90, now: day0, step: rota.StepCreate},
		{name: "a password that may be in use is not replaced unasked", state: rotation.State{Secret: "s", Traits: pgLike, Lists: true, Listed: true, Issued: []rota.Issued{{ID: "app", Active: true}}},
			policy: policy90, now: day0, hold: rotation.HoldNeverIssued, next: rota.StepCreate, at: day0.Add(time.Hour), reason: "rota adopt s"},
		{name: "a failed step waits for its next try", state: with(served(), func(s *rotation.State) {
			s.Progress.Failure = &rotation.Failure{Step: rota.StepCreate, Error: "denied", At: at(90), Attempts: 1, RetryAt: at(90).Add(time.Hour)}
		}), policy: policy90, now: at(90).Add(time.Minute), hold: rotation.HoldRetrying, next: rota.StepCreate, at: at(90).Add(time.Hour), reason: "denied"},
		{name: "after the last try only a person lifts it", state: with(served(), func(s *rotation.State) {
			s.Progress.Failure = &rotation.Failure{Step: rota.StepCreate, Error: "denied", At: at(90), Attempts: 20}
		}), policy: policy90, now: at(91), hold: rotation.HoldQuarantined, next: rota.StepCreate, at: at(91).Add(time.Hour), reason: "20 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := rotation.Plan(test.state, test.policy, test.now)
			if d.Step != test.step || d.Hold != test.hold || d.Next != test.next || !d.At.Equal(test.at) {
				t.Errorf("got step %q, hold %q, next %q at %s (%s)\nwant step %q, hold %q, next %q at %s",
					d.Step, d.Hold, d.Next, d.At, d.Reason, test.step, test.hold, test.next, test.at)
			}
			if !strings.Contains(hint.Add(d.Reason, d.Remedies), test.reason) {
				t.Errorf("reason %q does not say %q", d.Reason, test.reason)
			}
		})
	}
}

func TestPlanIsPure(t *testing.T) {
	st := rotated(never)
	before := rotation.Plan(st, policy90, at(100))
	for range 3 {
		if again := rotation.Plan(st, policy90, at(100)); !reflect.DeepEqual(again, before) {
			t.Fatalf("the same state gave %+v, then %+v", before, again)
		}
	}
	_ = slices.Collect(rotation.Project(st, policy90, at(100), at(900)))
	if len(st.Progress.Versions) != 2 || len(st.Issued) != 2 || len(st.Contents.Versions[0].Labels) != 1 {
		t.Error("a projection changed the state it began with")
	}
}

func TestSampledEvidenceNeedsSeveralLooksOverTheQuietTime(t *testing.T) {
	st := rotated(rota.Use{Evidence: rota.EvidenceSampled})
	for _, test := range []struct {
		since   time.Time
		samples int
		step    rota.Step
	}{
		{at(92), 3, rota.StepDeactivate},
		{at(92), 2, rota.StepNone},
		{at(99), 30, rota.StepNone},
	} {
		st.Progress.Versions["rota-1"] = rotation.VersionProgress{QuietSince: test.since, QuietSamples: test.samples}
		if d := rotation.Plan(st, policy90, at(100)); d.Step != test.step {
			t.Errorf("quiet since %s in %d looks: %q (%s), want %q", test.since, test.samples, d.Step, d.Reason, test.step)
		}
	}
}

func TestSampledEvidenceIsToldInWordsForPeople(t *testing.T) {
	for want, quiet := range map[string]time.Duration{
		"was seen in 2 looks over less than a second; at least 3 looks over 7d are needed": 469 * time.Millisecond,
		"was seen in 2 looks over 31s; at least 3 looks over 7d are needed":                31*time.Second + 469*time.Millisecond,
		"was seen in 2 looks over 1h2m; at least 3 looks over 7d are needed":               62 * time.Minute,
	} {
		st := rotated(rota.Use{Evidence: rota.EvidenceSampled})
		st.Progress.Versions["rota-1"] = rotation.VersionProgress{QuietSince: at(100).Add(-quiet), QuietSamples: 2}
		if d := rotation.Plan(st, policy90, at(100)); !strings.Contains(d.Reason, want) {
			t.Errorf("%q, want %q in it", d.Reason, want)
		}
	}
}

func BenchmarkPlan100000Secrets(b *testing.B) {
	st := rotated(never)
	for b.Loop() {
		for range 100_000 {
			rotation.Plan(st, policy90, at(95))
		}
	}
}

// BenchmarkProject looks a hundred years ahead, as far as it goes.
func BenchmarkProject(b *testing.B) {
	st := served()
	st.Traits, st.Issued, st.Lists, st.Listed = pgLike, nil, false, false
	policy := rotation.Policy{RotateEvery: 5 * time.Hour}
	steps := 0
	for b.Loop() {
		steps = 0
		for range rotation.Project(st, policy, at(0), at(36500)) {
			steps++
		}
	}
	b.ReportMetric(float64(steps), "steps")
}
