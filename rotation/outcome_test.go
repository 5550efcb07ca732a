package rotation_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// A full issuer is denied, but a lost answer of Rota's own may have taken the place: a
// creation is tried again soon.
func TestWhenAFailureIsTriedAgain(t *testing.T) {
	full := &rota.Error{Class: rota.ClassStop, Err: fmt.Errorf("two keys: %w", rota.ErrLimit)}
	denied := &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}
	refused := &rota.Error{Class: rota.ClassWait, Err: fmt.Errorf("unhealthy: %w", rota.ErrRefused)}
	limited := func(c rota.Class, wait time.Duration) error {
		return fmt.Errorf("wrapped: %w", &rota.Error{Class: c, RetryAfter: wait, Err: errors.New("too many calls")})
	}
	for name, test := range map[string]struct {
		before   *rotation.Failure
		step     rota.Step
		err      error
		traits   rota.Traits
		attempts int
		class    rota.Class
		after    time.Duration
		refused  bool
	}{
		"the issuer is full":                  {step: rota.StepCreate, err: full, attempts: 1, class: rota.ClassWait, after: 30 * time.Second},
		"creating is denied":                  {step: rota.StepCreate, err: denied, attempts: 1, class: rota.ClassStop, after: time.Hour},
		"a store is full":                     {step: rota.StepDeliver, err: full, attempts: 1, class: rota.ClassStop, after: time.Hour},
		"a consumer refuses it":               {step: rota.StepReload, err: refused, attempts: 1, class: rota.ClassWait, after: 30 * time.Second, refused: true},
		"a target refuses it":                 {step: rota.StepDeliver, err: refused, attempts: 1, class: rota.ClassWait, after: 30 * time.Second},
		"the second time":                     {before: &rotation.Failure{Step: rota.StepCreate, Attempts: 1}, step: rota.StepCreate, err: full, attempts: 2, class: rota.ClassWait, after: time.Minute},
		"the second time, after another step": {before: &rotation.Failure{Step: rota.StepTest, Attempts: 7}, step: rota.StepCreate, err: full, attempts: 1, class: rota.ClassWait, after: 30 * time.Second},
		"a rate limit":                        {step: rota.StepDeliver, err: limited(rota.ClassWait, 50*time.Minute), attempts: 1, class: rota.ClassWait, after: 50 * time.Minute},
		"a short one":                         {step: rota.StepDeliver, err: limited(rota.ClassWait, time.Second), attempts: 1, class: rota.ClassWait, after: 30 * time.Second},
		"one that asks for a year":            {step: rota.StepDeliver, err: limited(rota.ClassWait, 365*rota.Day), attempts: 1, class: rota.ClassWait, after: 6 * time.Hour},
		"one of a refusal for good":           {step: rota.StepDeliver, err: limited(rota.ClassStop, 5*time.Hour), attempts: 1, class: rota.ClassStop, after: time.Hour},
		"one beyond the credential's life":    {step: rota.StepDeliver, err: limited(rota.ClassWait, time.Hour), traits: rota.Traits{Lifetime: time.Hour}, attempts: 1, class: rota.ClassWait, after: 15 * time.Minute},
	} {
		f := rotation.FailureAfter(test.before, test.step, test.err, test.traits, day0)
		if f.Attempts != test.attempts || f.Class != test.class || f.RetryAt.Sub(day0) != test.after || f.Refused != test.refused {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// A new credential is given up once it's known, or likely, that it'll never work: where
// its setting has ended the one in use, at the first denial.
func TestWhenANewCredentialIsGivenUp(t *testing.T) {
	overlap, alone := rota.Traits{Limit: 2}, rota.Traits{Limit: 1}
	for name, test := range map[string]struct {
		step     rota.Step
		class    rota.Class
		attempts int
		traits   rota.Traits
		want     bool
	}{
		"another value may work":                       {rota.StepTest, rota.ClassRegenerate, 1, overlap, true},
		"another value may be set":                     {rota.StepSet, rota.ClassRegenerate, 1, overlap, true},
		"another value may be delivered":               {rota.StepDeliver, rota.ClassRegenerate, 9, overlap, false},
		"a promotion that's denied":                    {rota.StepPromote, rota.ClassStop, 9, alone, false},
		"no answer, four times":                        {rota.StepTest, rota.ClassWait, 4, overlap, false},
		"no answer, five times":                        {rota.StepTest, rota.ClassWait, 5, overlap, true},
		"no answer to a set, five times":               {rota.StepSet, rota.ClassWait, 5, alone, true},
		"a login that's denied":                        {rota.StepTest, rota.ClassStop, 1, overlap, false},
		"a login that's denied twice":                  {rota.StepTest, rota.ClassStop, 2, overlap, true},
		"the only login is denied":                     {rota.StepTest, rota.ClassStop, 1, alone, true},
		"a set that's denied leaves the old one alone": {rota.StepSet, rota.ClassStop, 1, alone, false},
		"a set that's denied twice":                    {rota.StepSet, rota.ClassStop, 2, alone, true},
	} {
		f := &rotation.Failure{Step: test.step, Class: test.class, Attempts: test.attempts}
		if got := f.Rejects(test.traits); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A provider's remedies that are Rota's own actions get the secret's name; others are
// left as they are.
func TestRemediesAreForTheirSecret(t *testing.T) {
	cause := errors.New("no")
	for name, test := range map[string]struct{ given, want []rota.Remedy }{
		"none":          {},
		"Rota's own":    {[]rota.Remedy{{Action: rota.RemedyRotate}}, []rota.Remedy{{Action: rota.RemedyRotate, Secret: "s"}}},
		"another's":     {[]rota.Remedy{{Action: rota.RemedyRotate, Secret: "other"}}, []rota.Remedy{{Action: rota.RemedyRotate, Secret: "other"}}},
		"a person's":    {rota.Outside("grant it"), rota.Outside("grant it")},
		"one of each":   {append(rota.Outside("grant it"), rota.Remedy{Action: rota.RemedyRollBack}), append(rota.Outside("grant it"), rota.Remedy{Action: rota.RemedyRollBack, Secret: "s"})},
		"of rota.yaml":  {rota.Configure("user", "ci"), rota.Configure("user", "ci")},
		"to run it all": {[]rota.Remedy{{Action: rota.RemedyRun}}, []rota.Remedy{{Action: rota.RemedyRun}}},
	} {
		err := rota.WithRemedies(cause, test.given)
		got := rotation.Concerning(err, "s")
		if diff := cmp.Diff(test.want, rota.RemediesOf(got)); diff != "" || !errors.Is(got, cause) {
			t.Errorf("%s: %v %s", name, got, diff)
		}
		if diff := cmp.Diff(test.given, rota.RemediesOf(err)); diff != "" {
			t.Errorf("%s: it changed what it was given: %s", name, diff)
		}
	}
}

// An intent whose answer the store has waits for the issuer's list, unless nobody looks
// at that or the answer names no credential.
func TestWhatIsLeftOfAnIntentThatWasAnswered(t *testing.T) {
	intents := []rotation.Intent{{Version: "v"}, {Version: "lost"}}
	lost := rotation.Intent{Version: "lost"}
	for name, test := range map[string]struct {
		version rota.Version
		looks   bool
		want    []rotation.Intent
	}{
		"the store has it":           {rota.Version{ID: "v", CredentialID: "A"}, true, []rotation.Intent{{Version: "v", Answer: "A"}, lost}},
		"nobody looks":               {rota.Version{ID: "v", CredentialID: "A"}, false, []rotation.Intent{lost}},
		"it names no credential":     {rota.Version{ID: "v", CredentialID: rota.NoCredential}, true, []rotation.Intent{lost}},
		"its credential isn't known": {rota.Version{ID: "v"}, true, []rotation.Intent{lost}},
		"it was only announced":      {rota.Version{ID: "v", Empty: true}, true, intents},
		"it isn't there":             {rota.Version{ID: "w", CredentialID: "A"}, true, intents},
	} {
		if diff := cmp.Diff(test.want, rotation.Answered(intents, []rota.Version{test.version}, test.looks)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Whoever has to resume it hears of it when the last attempt has failed, once.
func TestTheLastAttemptIsToldAtOnce(t *testing.T) {
	b := newBench(t)
	b.strike = func(c memory.Call) memory.Fault {
		if c.Op == "target.deliver" {
			return memory.Fault{Before: errors.New("503")}
		}
		return memory.Fault{}
	}
	for n := 1; n <= b.secret.Policy.WithDefaults().MaxAttempts+2; n++ {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
		want := 0
		if n >= b.secret.Policy.WithDefaults().MaxAttempts {
			want = 1
		}
		if got := b.told(rota.EventQuarantined); got != want {
			t.Errorf("after %d attempts, %d events say that it was given up", n, got)
		}
		b.days(1)
	}
}

// The same if new credentials were given up one after the other.
func TestTheLastOfSeveralNewCredentialsIsTold(t *testing.T) {
	b := newBench(t)
	b.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error {
		return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("no rows")}
	}, memory.Options{})}
	for range 12 {
		if r, _ := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); r.Last.Hold == rotation.HoldQuarantined {
			break
		}
		b.days(2)
	}
	if quarantined, held := b.told(rota.EventQuarantined), b.told(rota.EventHeld); quarantined != 1 || held != 0 {
		t.Errorf("%d events say that it was given up, and %d that it's held", quarantined, held)
	}
}
