package rotation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// Once making a credential has ended the one in use, there's no way back: whatever
// comes between has to have a way forward.

// onItsWay is a bench whose next token was made and couldn't be tested.
func onItsWay(t *testing.T) (*bench, *onlyOne) {
	t.Helper()
	b, o := newOnlyOne(t)
	b.days(90)
	o.refuseNew = true
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil || len(o.made) != 2 {
		t.Fatalf("%v, %d made", err, len(o.made))
	}
	o.refuseNew = false
	b.now = b.now.Add(time.Hour)
	return b, o
}

func actions(remedies []rota.Remedy) (out []rota.RemedyAction) {
	for _, r := range remedies {
		out = append(out, r.Action)
	}
	return out
}

// An administrator revokes the new token before it's in use. Trying again leads
// nowhere, and neither does a rotation or a rollback.
func TestTheNewOneIsRevokedBeforeItsInUse(t *testing.T) {
	b, o := onItsWay(t)
	o.made[1].Active = false
	for _, options := range []rotation.Options{{}, {}, {Force: rota.StepCreate}} {
		r, _ := b.rotator.Advance(t.Context(), b.secret, options)
		b.now = b.now.Add(time.Hour)
		if len(o.made) != 2 {
			t.Fatalf("another was made: %+v", r)
		}
		if d := r.Last; d.Hold != rotation.HoldNone && (d.Hold != rotation.HoldNotAtIssuer || !slices.Equal(actions(d.Remedies), []rota.RemedyAction{rota.RemedyAdoptGiven})) {
			t.Errorf("it says %+v", d)
		}
	}
	if got := b.advance(t, rotation.Options{}).Last; got.Hold != rotation.HoldNotAtIssuer || !strings.Contains(got.Reason, "the new credential t2 is not at the issuer any more") {
		t.Errorf("it says %+v", got)
	}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: o.add()}); err != nil {
		t.Fatal(err)
	}
	b.days(90)
	if got := steps(b.advance(t, rotation.Options{})); got != "create test promote deliver reload" {
		t.Errorf("once one is adopted, it did %q", got)
	}
}

// Somebody changes another field of the secret meanwhile. Its old token is dead, so
// nobody loses anything if the rotation goes on.
func TestTheEntryIsEditedWhileTheNewOneIsOnItsWay(t *testing.T) {
	b, o := onItsWay(t)
	b.store.Plant("edited", tokenOf(1), rota.LabelCurrent)
	b.now = b.now.Add(time.Minute) // the list may lag
	if got := steps(b.advance(t, rotation.Options{})); !strings.Contains(got, "test promote") {
		t.Errorf("it did %q", got)
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !c.Equal(tokenOf(2)) || len(o.made) != 2 {
		t.Errorf("current is %v of %d", c.Fields(), len(o.made))
	}
}

// Somebody makes a token by hand meanwhile, and stores it. Each remedy leads out.
func TestSomebodyStoresAnotherWhileTheNewOneIsOnItsWay(t *testing.T) {
	for name, follow := range map[string]func(*testing.T, *bench) error{
		"rotate": func(t *testing.T, b *bench) error {
			_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
			return err
		},
		"adopt what was handed in": func(t *testing.T, b *bench) error {
			_, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: tokenOf(3)})
			return err
		},
		"adopt what's stored": func(t *testing.T, b *bench) error {
			_, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, o := onItsWay(t)
			b.store.Plant("other", o.add(), rota.LabelCurrent)
			got := b.advance(t, rotation.Options{})
			if got.Last.Hold != rotation.HoldForeignChange || !slices.Equal(actions(got.Last.Remedies), []rota.RemedyAction{rota.RemedyRotate, rota.RemedyAdoptGiven}) {
				t.Errorf("it did %q and says %+v", steps(got), got.Last)
			}
			if err := follow(t, b); err != nil {
				t.Fatal(err)
			}
			if got := b.advance(t, rotation.Options{}); got.Last.Hold != rotation.HoldNone {
				t.Errorf("then it did %q and says %+v", steps(got), got.Last)
			}
			if _, c, _ := b.store.Read(rota.LabelCurrent); !o.works(c) {
				t.Errorf("current is %v", c.Fields())
			}
		})
	}
}

// The same, where the issuer shows the one in force instead of listing.
func TestSomebodyChangesTheEntryWhileAReadableOneIsOnItsWay(t *testing.T) {
	for _, action := range []rota.RemedyAction{rota.RemedyRotate, rota.RemedyAdoptGiven} {
		b, k := newKept(t)
		broken := true
		b.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error {
			if broken && !c.Equal(rota.Credential{}) && k.made == 2 {
				return &rota.Error{Class: rota.ClassStop, Err: errors.New("no rows")}
			}
			return nil
		}, memory.Options{})}
		b.days(91)
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
		_, old, _ := b.store.Read(rota.LabelCurrent)
		if _, _, ok := b.store.Read(rota.LabelPending); !ok {
			t.Fatal("nothing is on its way")
		}
		b.store.Plant("edited", old, rota.LabelCurrent)
		broken = false
		b.now = b.now.Add(time.Hour)
		got := b.advance(t, rotation.Options{})
		if got.Last.Hold != rotation.HoldForeignChange || !slices.Contains(actions(got.Last.Remedies), action) {
			t.Errorf("it did %q and says %+v", steps(got), got.Last)
		}
		var err error
		if action == rota.RemedyRotate {
			_, err = b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
		} else {
			_, err = b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: k.now()})
			b.secret.Targets = nil // delivering what was adopted is up to a person
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, c, _ := b.store.Read(rota.LabelCurrent); !c.Equal(k.now()) || k.made != 2 {
			t.Errorf("%s: current is %v of %d", action, c.Fields(), k.made)
		}
	}
}

// A driver's rotation is canceled after its token was made, which ended the one in
// use. The store still has the only token that works, so the next is made from it.
func TestTheNextIsMadeFromTheOneOfARotationThatWasCalledOff(t *testing.T) {
	for _, driven := range []bool{false, true} {
		b, o := newOnlyOne(t)
		b.days(90)
		version := strings.Repeat("e", 36)
		b.drive(t, version, rota.StepCreate)
		b.callOff(t, version)
		b.now = b.now.Add(time.Hour)
		if next := strings.Repeat("f", 36); driven {
			b.drive(t, next, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote)
		} else {
			b.advance(t, rotation.Options{})
		}
		if _, c, _ := b.store.Read(rota.LabelCurrent); !o.works(c) || !slices.Equal(o.replaced, []string{"t1", "t2"}) {
			t.Errorf("driven %v: current is %v, and it replaced %v", driven, c.Fields(), o.replaced)
		}
	}
}

func TestWhatANewCredentialEndsIsSaidBefore(t *testing.T) {
	b, k := newKept(t)
	b.days(91)
	_, plan, err := b.rotator.Observe(t.Context(), b.secret)
	if err != nil || !strings.Contains(plan.Reason, "when the new one is made and can't be put back") {
		t.Errorf("the plan says %+v (%v)", plan, err)
	}
	if f := preflightOf(b, "overlap"); !strings.Contains(f.Detail, "from create until") {
		t.Errorf("the check says %+v", f)
	}
	k.value++
	b.advance(t, rotation.Options{})
	for _, e := range b.journal.Entries() {
		if strings.Contains(e.Detail, "replaced outside Rota") && strings.Contains(e.Detail, "stops working") {
			t.Errorf("what was taken over was said to stop working: %s", e.Detail)
		}
	}
}
