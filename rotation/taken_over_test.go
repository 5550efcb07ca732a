package rotation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// An entry that was made by hand holds a placeholder, or a key that is switched
// off. It can't be adopted, so a person's request replaces it: at once, or as soon
// as the issuer's list is sure to show what there is.
func TestADeadCredentialOfSomebodyElseIsReplacedOnRequest(t *testing.T) {
	for name, prepare := range map[string]func(b *bench) rota.Credential{
		"a placeholder": func(*bench) rota.Credential {
			return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "TODO", rota.FieldSecretAccessKey: "TODO"})
		},
		"an inactive key": func(b *bench) rota.Credential {
			c := b.keys.Plant()
			b.now = b.now.Add(time.Hour)
			if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(c)}); err != nil {
				t.Fatal(err)
			}
			b.now = b.now.Add(time.Hour)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.store.Plant("by-hand", prepare(b), rota.LabelCurrent)
			_, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
			offers := false
			for _, r := range rota.RemediesOf(err) {
				offers = offers || r.Action == rota.RemedyRotate
			}
			if err == nil || !offers {
				t.Errorf("adopt: %v, remedies %v", err, rota.RemediesOf(err))
			}
			r := b.advance(t, rotation.Options{Force: rota.StepCreate})
			if r.Last.Hold != rotation.HoldNone {
				t.Errorf("held at once: %s", r.Last.Reason)
			}
			if got := steps(r); got == "" {
				b.now = b.now.Add(time.Minute)
				r = b.advance(t, rotation.Options{Force: rota.StepCreate})
			}
			if got := steps(r); got != "create test promote deliver reload" {
				t.Errorf("it did %q: %s", got, r.Last.Reason)
			}
		})
	}
}

// A password that a person set outside isn't in the store. Rolling back replaces
// the one that Rota set, not that.
func TestARollbackLeavesAPasswordThatSomebodySetAlone(t *testing.T) {
	for _, tells := range []bool{false, true} {
		b := newBench(t)
		l, _ := newLogin(t, b)
		b.advance(t, rotation.Options{})
		theirs := l.Plant("app", "theirs")
		if tells {
			l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		}
		_, err := b.rotator.Rollback(t.Context(), b.secret)
		if !errors.Is(err, rota.ErrConflict) || len(rota.RemediesOf(err)) != 2 {
			t.Errorf("rollback: %v, remedies %v", err, rota.RemediesOf(err))
		}
		if !l.Login(theirs) {
			t.Error("the password was replaced")
		}
		if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: theirs}); err != nil {
			t.Errorf("adopt: %v", err)
		}
	}
}

// Rolling back where there's no overlap ends the credential in use, so that
// everything that follows is asked first.
func TestARollbackWithoutOverlapAsksFirst(t *testing.T) {
	for name, test := range map[string]struct {
		obstacle func(b *bench, l *login, p *picky)
		over     func(b *bench, l *login, p *picky)
	}{
		"a target that can't be written": {
			func(_ *bench, _ *login, p *picky) { p.finding.OK = false },
			func(_ *bench, _ *login, p *picky) { p.finding.OK = true },
		},
		"a login that can't be tried": {
			func(_ *bench, l *login, _ *picky) {
				l.test = func(rota.Credential) error { return errors.New("too many connections") }
			},
			func(_ *bench, l *login, _ *picky) { l.test = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l, old := newLogin(t, b)
			p := &picky{Target: b.target, finding: rota.Finding{Check: "write", OK: true}}
			b.secret.Targets = append(b.secret.Targets, p)
			b.advance(t, rotation.Options{})
			now, _ := b.target.Current()
			test.obstacle(b, l, p)
			if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
				t.Error("it was carried out")
			}
			b.alone(t, l, now.Credential)
			if b.progress(t).Rollback != nil {
				t.Error("the rollback goes on")
			}
			test.over(b, l, p)
			if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
				t.Fatal(err)
			}
			if !l.Login(old) {
				t.Error("the old password doesn't log in")
			}
		})
	}
}

func TestARolledBackPasswordThatCannotBeTestedIsPutBack(t *testing.T) {
	b := newBench(t)
	l, old := newLogin(t, b)
	b.advance(t, rotation.Options{})
	now, _ := b.target.Current()
	l.test = func(c rota.Credential) error {
		if c.Equal(old) {
			return errors.New("the server is too slow")
		}
		return l.Password.Test(t.Context(), rota.TestRequest{Credential: c})
	}
	began := b.now
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
		t.Error("the rollback succeeded")
	}
	if took := b.now.Sub(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	b.alone(t, l, now.Credential)
	if r := b.advance(t, rotation.Options{}); steps(r) != "" || !l.Login(now.Credential) {
		t.Errorf("the next turn did %q: %s", steps(r), r.Last.Reason)
	}
}

// A pooler with a list of its own lets the old password in after the server got
// another one, and refuses that one.
func TestWhatWasSetIsPutBackWhateverAPoolerSays(t *testing.T) {
	b := newBench(t)
	l, old := newLogin(t, b)
	l.test = func(c rota.Credential) error {
		if !c.Equal(old) {
			return rota.ErrRefused
		}
		return nil
	}
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Error("the rotation succeeded")
	}
	for range 3 {
		b.now = b.now.Add(time.Minute)
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{}) // held, or failed
	}
	b.alone(t, l, old)
}
