package rotation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// unpromoted is a secret of a single role whose new password is set and tested,
// when the rotation is interrupted for a day.
func unpromoted(t *testing.T) (*bench, *login) {
	t.Helper()
	b := newBench(t)
	l, _ := newLogin(t, b)
	for range 4 {
		b.faults.Next("store.move", memory.Fault{Before: errors.New("503")})
	}
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the promotion succeeded")
	}
	b.days(1)
	return b, l
}

func TestAnInterruptedRotationIsTestedAgainBeforeItIsPromoted(t *testing.T) {
	b, _ := unpromoted(t)
	if got := steps(b.advance(t, rotation.Options{})); got != "test promote deliver reload" {
		t.Errorf("it did %q", got)
	}
}

func TestAPasswordSetWhileARotationIsInterruptedIsLeftAlone(t *testing.T) {
	b, l := unpromoted(t)
	theirs := l.Plant("app", "theirs")
	for range 8 {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{}) // held, or failed
		if !l.Login(theirs) {
			t.Fatal("the password that somebody set was replaced")
		}
		b.days(1)
	}
	if now, _ := b.target.Current(); l.Login(now.Credential) {
		t.Error("the target has a password that logs in: nothing has been changed")
	}
	if s := b.progress(t).Status; rota.Hint(s.Remedies) == "" {
		t.Errorf("no remedy for %q", s.Reason)
	}
}

func TestAPasswordSetWhileARotationIsInterruptedIsAdopted(t *testing.T) {
	b, l := unpromoted(t)
	theirs := l.Plant("app", "theirs")
	wrong := rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: "wrong"})
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: wrong}); !errors.Is(err, rota.ErrRefused) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, _, ok := b.store.Read(rota.LabelPending); !ok {
		t.Error("a wrong password ended the rotation")
	}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: theirs}); err != nil {
		t.Fatal(err)
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !c.Equal(theirs) || !l.Login(c) {
		t.Error("the current version doesn't hold the password in force")
	}
	if id, _, ok := b.store.Read(rota.LabelPending); ok {
		t.Errorf("version %s is still AWSPENDING", id)
	}
}

// Between the set and its test somebody sets yet another password, and the issuer
// can tell that neither of Rota's is in force.
func TestNothingIsPutBackOverAPasswordThatSomebodySet(t *testing.T) {
	b := newBench(t)
	l, old := newLogin(t, b)
	var theirs rota.Credential
	l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
	l.test = func(c rota.Credential) error {
		if theirs.IsZero() && !c.Equal(old) {
			theirs = l.Plant("app", "theirs")
		}
		if !l.Login(c) {
			return &rota.Error{Class: rota.ClassStop, Err: rota.ErrRefused}
		}
		return nil
	}
	for range 3 {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{}) // the test fails
		b.now = b.now.Add(time.Hour)
	}
	if theirs.IsZero() || !l.Login(theirs) {
		t.Error("the password that somebody set was replaced")
	}
}

func TestSomebodyElsesRotationIsFinishedOrTakenOff(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.store.Plant("theirs", rota.Credential{}, rota.LabelPending)
	_, rollback := b.rotator.Rollback(t.Context(), b.secret)
	_, adopt := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
	for name, err := range map[string]error{"rollback": rollback, "adopt": adopt} {
		if r := rota.RemediesOf(err); len(r) != 1 || r[0].Verb != rota.VerbUnlabel || r[0].Object != "theirs" {
			t.Errorf("%s: %v, remedies %v", name, err, r)
		}
	}
}
