package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// kept is an issuer that chooses a lone password and shows it to whoever asks.
type kept struct {
	value, made int
	lost        error // of the next answer
	set         int   // calls of Set
	asked       rota.CreateRequest
}

func (k *kept) Traits() rota.Traits {
	return rota.Traits{Kind: "kept password", IssuerChooses: true, Limit: 1, TestSuccesses: 1, FromCurrent: true, Readable: true}
}
func (k *kept) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

func (k *kept) now() rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: fmt.Sprintf("password %d", k.value)})
}

func (k *kept) Create(_ context.Context, r rota.CreateRequest) (rota.Credential, error) {
	k.asked = r
	if !r.Current.IsZero() && !r.Anew && !r.Current.Equal(k.now()) {
		return k.now(), nil
	}
	k.made++
	k.value++
	err := k.lost
	if k.lost = nil; err != nil {
		return rota.Credential{}, err
	}
	return k.now(), nil
}

func (k *kept) Set(context.Context, rota.SetRequest) error {
	k.set++
	return nil
}

func (k *kept) Test(_ context.Context, r rota.TestRequest) error {
	if !r.Credential.Equal(k.now()) {
		return &rota.Error{System: "kept", Class: rota.ClassRegenerate, Err: rota.ErrRefused}
	}
	return nil
}

func (k *kept) InForce(_ context.Context, c rota.Credential) (inForce, known bool, err error) {
	return c.Equal(k.now()), true, nil
}

func (k *kept) Delete(context.Context, rota.RetireRequest) error { return nil }

func newKept(t *testing.T) (*bench, *kept) {
	b, k := newBench(t), &kept{}
	b.secret.Issuer = k
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	b.inUse(t, k)
	return b, k
}

// inUse checks that the password in force is current and at the target.
func (b *bench) inUse(t *testing.T, k *kept) {
	t.Helper()
	_, c, _ := b.store.Read(rota.LabelCurrent)
	at, _ := b.target.Current()
	if !c.Equal(k.now()) || !at.Credential.Equal(k.now()) {
		t.Errorf("in force is %v, current %v, at the target %v", k.now().Fields(), c.Fields(), at.Credential.Fields())
	}
}

// next lets time pass until the secret is due for a look.
func (b *bench) next(t *testing.T) rotation.Result {
	t.Helper()
	if at := b.journal.Progress(b.secret.Name).NextAt; at.After(b.now) {
		b.now = at
	}
	return b.advance(t, rotation.Options{})
}

// An issuer whose memory went back in time shows a value from before the current one.
func TestTheIssuerIsToldSinceWhenTheCurrentValueIs(t *testing.T) {
	b, k := newKept(t)
	if !k.asked.CurrentSince.IsZero() {
		t.Errorf("the first one was said to replace one of %s", k.asked.CurrentSince)
	}
	made := b.now
	b.now = b.now.Add(rota.Day)
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	if k.asked.Current.IsZero() || !k.asked.CurrentSince.Equal(made) {
		t.Errorf("the current one is from %s, and the issuer was told %s", made, k.asked.CurrentSince)
	}
}

func TestAValueThatWasReplacedOutsideIsTakenOverWithinADay(t *testing.T) {
	b, k := newKept(t)
	b.now = b.now.Add(rota.Day)
	b.next(t)
	k.value++
	before := b.now
	findings := rotation.Preflight(t.Context(), b.secret)
	warned := false
	for _, f := range findings {
		warned = warned || f.Warning && strings.Contains(f.Detail, "the next run delivers the one in force")
	}
	if !warned {
		t.Errorf("rota check says %+v", findings)
	}
	result := b.next(t)
	b.inUse(t, k)
	if k.made != 1 || result.Last.Hold != rotation.HoldNone || b.now.Sub(before) > rota.Day {
		t.Errorf("%d made, after %s: %+v", k.made, b.now.Sub(before), result.Last)
	}
	if reason := result.Done[0].Reason; !strings.Contains(reason, "replaced outside Rota") || strings.Contains(reason, "put back") || strings.Contains(reason, "stops working") {
		t.Errorf("the reason is %q", reason)
	}
	// The policy counts from then.
	b.now = b.now.Add(89 * rota.Day)
	if b.next(t); k.made != 1 {
		t.Error("rotated too early")
	}
	b.now = b.now.Add(2 * rota.Day)
	if result = b.next(t); k.made != 2 {
		t.Errorf("%d made once it's due", k.made)
	}
	if reason := result.Done[0].Reason; !strings.Contains(reason, "can't be put back") {
		t.Errorf("the reason is %q", reason)
	}
	b.inUse(t, k)
}

func TestALostValueIsReadInsteadOfMadeAgain(t *testing.T) {
	b, k := newKept(t)
	k.lost = &rota.Error{Class: rota.ClassWait, Err: errors.New("reset")}
	_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
	if err == nil || k.made != 2 {
		t.Fatalf("%v, %d made", err, k.made)
	}
	b.next(t)
	b.inUse(t, k)
	if k.made != 2 {
		t.Errorf("%d made", k.made)
	}
}

// The one in force may be the one that leaked: whoever asks for a rotation once gets a
// value that nobody has seen.
func TestARotationThatAPersonAsksForMakesANewValue(t *testing.T) {
	for name, ask := range map[string]func(*bench, *testing.T){
		"by a command": func(b *bench, t *testing.T) { b.advance(t, rotation.Options{Force: rota.StepCreate}) },
		"by a request": func(b *bench, t *testing.T) {
			if err := b.ask(t, "rota-asked"); err != nil {
				t.Fatal(err)
			}
			b.advance(t, rotation.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, k := newKept(t)
			b.now = b.now.Add(time.Hour)
			k.value++ // which Rota hasn't noticed yet
			leaked := k.now()
			ask(b, t)
			b.inUse(t, k)
			if k.now().Equal(leaked) || k.made != 2 {
				t.Errorf("%d made, and the one that leaked is in force: %t", k.made, k.now().Equal(leaked))
			}
			if result := b.next(t); k.made != 2 || result.Last.Hold != rotation.HoldNone {
				t.Errorf("then %d made: %+v", k.made, result.Last)
			}
		})
	}
}

// A dead value isn't served if the issuer shows the one in force.
func TestAVersionThatIsMadeCurrentAgainByHandIsNotServedIfItsDead(t *testing.T) {
	b, k := newKept(t)
	dead, _, _ := b.store.Read(rota.LabelCurrent)
	b.days(91)
	b.next(t)
	alive, _, _ := b.store.Read(rota.LabelCurrent)
	b.days(1)
	b.move(t, rota.LabelCurrent, alive, dead)
	before := len(b.target.History())
	for range 3 {
		if result := b.next(t); result.Last.Hold != rotation.HoldNone {
			t.Errorf("%+v", result.Last)
		}
		b.now = b.now.Add(time.Hour)
	}
	b.inUse(t, k)
	for _, r := range b.target.History()[before:] {
		if !r.Credential.Equal(k.now()) {
			t.Errorf("the target got %s", r.Version)
		}
	}
	if k.made != 2 {
		t.Errorf("%d made", k.made)
	}
}

func TestWhatWasReplacedOutsideWaitsWhileItsPaused(t *testing.T) {
	b, k := newKept(t)
	b.journal.Pause(b.secret.Name, rotation.Halt{By: "ana"})
	k.value++
	b.now = b.now.Add(rota.Day)
	if got := b.next(t).Last; got.Hold != rotation.HoldPaused {
		t.Errorf("%+v", got)
	}
	b.journal.Resume(b.secret.Name)
	b.next(t)
	b.inUse(t, k)
}

func TestTheOnlyValueThatWorksIsNeverGivenUp(t *testing.T) {
	b, k := newKept(t)
	broken := true
	b.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error {
		if broken && c.Field(rota.FieldPassword) != "password 1" {
			return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("no rows")}
		}
		return nil
	}, memory.Options{})}
	b.now = b.now.Add(91 * rota.Day)
	for range 12 {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
		b.now = b.now.Add(rota.Day)
	}
	if _, c, _ := b.store.Read(rota.LabelPending); !c.Equal(k.now()) || k.made != 2 || k.set != 0 {
		t.Errorf("pending is %v, %d made, %d set", c.Fields(), k.made, k.set)
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil || !strings.Contains(err.Error(), "nothing brings back") || len(rota.RemediesOf(err)) == 0 {
		t.Errorf("rollback: %v", err)
	}
	// The issuer replaces it in the middle: then it's over, and the next one is taken.
	k.value++
	broken = false
	b.journal.Resume(b.secret.Name)
	_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	b.next(t)
	b.inUse(t, k)
	if k.made != 2 || k.set != 0 {
		t.Errorf("%d made, %d set", k.made, k.set)
	}
}

// The run that rota check promises is held if the store's current version is somebody
// else's: then it has to be adopted.
func TestAForeignCurrentIsNotSaidToBeTakenOver(t *testing.T) {
	b, _ := newKept(t)
	b.store.Plant("kv-2", rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: "theirs"}), rota.LabelCurrent)
	failed := false
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		if strings.Contains(f.Detail, "the next run delivers") {
			t.Errorf("rota check says %+v", f)
		}
		failed = failed || !f.OK && !f.Warning && strings.HasSuffix(f.Check, "is in force") && f.Remedies[0].Action == rota.RemedyAdoptGiven
	}
	if !failed {
		t.Error("rota check doesn't fail")
	}
}
