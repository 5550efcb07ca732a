package rotation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// A call to create that returned without an answer may have left something behind
// until it returned, or until its deadline if it returned later than that.
func TestTheCallOfAnIntentEndsOnce(t *testing.T) {
	began := day0.Add(time.Hour)
	deadline := began.Add(30 * time.Second)
	intents := []rotation.Intent{{Version: "other", At: began, Until: deadline}, {Version: "v", At: began, Until: deadline}}
	for _, test := range []struct{ at, until time.Time }{
		{began.Add(time.Second), began.Add(time.Second)},
		{deadline, deadline},
		{deadline.Add(time.Second), deadline},
	} {
		got := rotation.EndIntent(intents, "v", test.at)
		want := []rotation.Intent{intents[0], {Version: "v", At: began, Until: test.until}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("returned after %s: %s", test.at.Sub(began), diff)
		}
	}
	if !intents[1].Until.Equal(deadline) {
		t.Error("it changed what was saved")
	}
}

// Should the planner ever say so, what an issuer can't do is refused, not tried.
func TestAStepThatCannotBeTakenIsRefused(t *testing.T) {
	for _, step := range []rota.Step{rota.StepDeactivate, "improvise"} {
		b := newBench(t)
		b.secret.Issuer = onlyDeletable{b.keys}
		b.advance(t, rotation.Options{})
		b.rotator.Plan = func(rotation.State, rotation.Policy, time.Time) rotation.Decision {
			return rotation.Decision{Step: step, Version: "v", Credential: b.keys.Keys()[0].ID}
		}
		if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil || rota.ClassOf(err) != rota.ClassStop && step == rota.StepDeactivate {
			t.Errorf("%s: %v", step, err)
		}
	}
}

// Until the current credential is put back, consumers can't log in: the next try is
// soon, however often it failed.
func TestPuttingBackIsTriedAgainSoon(t *testing.T) {
	p := rotation.Policy{TestWithin: 30 * time.Second, MaxAttempts: 20}
	for _, test := range []struct {
		attempts     int
		planned, due time.Duration
	}{
		{1, time.Hour, 30 * time.Second},
		{19, time.Hour, 30 * time.Second},
		{20, time.Hour, 10 * time.Minute},
		{30, time.Hour, 10 * time.Minute},
		{1, 10 * time.Second, 10 * time.Second},
		{20, time.Minute, time.Minute},
	} {
		f := &rotation.Failure{At: day0, Attempts: test.attempts, RetryAt: day0.Add(test.planned)}
		if got := rotation.RetryPutBack(f, p).Sub(day0); got != test.due {
			t.Errorf("after %d attempts, planned in %s: it's tried again in %s, want %s", test.attempts, test.planned, got, test.due)
		}
	}
}

// Whoever runs once a day, or comes back after an outage, still recognizes what a
// lost call left behind. What left nothing isn't remembered for longer than a day.
func TestALostCallIsRememberedUntilItsTracesWereLookedFor(t *testing.T) {
	for _, days := range []int{0, 1, 3, 400} {
		for name, fault := range map[string]memory.Fault{
			"it left a key":   {After: errors.New("connection reset")},
			"it left nothing": {Before: errors.New("connection reset")},
		} {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			b.faults.Next("issuer.create", fault)
			if _, err := b.rotator.Advance(t.Context(), b.secret, atOnce); err == nil {
				t.Fatal("the lost answer went unnoticed")
			}
			b.now = b.now.Add(time.Hour)
			b.days(days)
			b.secret.Policy.RotateEvery = 0
			for range 3 { // the list isn't known
				b.faults.Next("issuer.list", memory.Fault{Before: errors.New("away")})
			}
			if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil || len(b.progress(t).Intents) != 1 {
				t.Errorf("%s, after %d days: %v, with %d intents", name, days, err, len(b.progress(t).Intents))
			}
			b.faults.Next("issuer.deactivate", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}})
			_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
			kept := days == 0 || fault.After != nil
			if (err != nil) != (fault.After != nil) || (len(b.progress(t).Intents) == 1) != kept {
				t.Errorf("%s, after %d days: %v, with %d intents", name, days, err, len(b.progress(t).Intents))
			}
			b.days(1)
			b.advance(t, rotation.Options{})
			if keys := b.keys.Keys(); len(keys) != 1 || len(b.progress(t).Intents) != 0 {
				t.Errorf("%s, after %d days: %d keys and %d intents are left", name, days, len(keys), len(b.progress(t).Intents))
			}
		}
	}
}

// recorded are access keys that keep what they're asked for.
type recorded struct {
	*memory.AccessKeys
	asked []rota.CreateRequest
}

func (k *recorded) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	k.asked = append(k.asked, r)
	return k.AccessKeys.Create(ctx, r)
}

// An issuer hears of the credential in use only if making the next one ends it, or
// needs it.
func TestAnIssuerIsToldWhatItNeeds(t *testing.T) {
	b := newBench(t)
	k := &recorded{AccessKeys: b.keys}
	b.secret.Issuer = k
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	if len(k.asked) != 2 {
		t.Fatalf("it was asked %d times", len(k.asked))
	}
	for i, r := range k.asked {
		if r.Replaces != "" || !r.Current.IsZero() || r.Version == "" || len(r.Taken) != i {
			t.Errorf("it was asked for %s, replaces %q, taken %v, current %t", r.Version, r.Replaces, r.Taken, !r.Current.IsZero())
		}
	}
}
