package rotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// guardedKeys are access keys whose logins go as a test says.
type guardedKeys struct {
	*memory.AccessKeys
	test func(id string) error
}

func (k *guardedKeys) Test(ctx context.Context, r rota.TestRequest) error {
	if k.test != nil {
		return k.test(k.CredentialID(r.Credential))
	}
	return k.AccessKeys.Test(ctx, r)
}

// onlyDeletable are keys that can't be deactivated, only deleted.
type onlyDeletable struct{ rota.Issuer }

func (k onlyDeletable) List(ctx context.Context) ([]rota.Issued, error) {
	return k.Issuer.(rota.Lister).List(ctx)
}

func (k onlyDeletable) LastUsed(ctx context.Context, id string) (rota.Use, error) {
	return k.Issuer.(rota.UseReporter).LastUsed(ctx, id)
}

func TestThePreviousCredentialStaysUntilTheCurrentOneLogsIn(t *testing.T) {
	mute := &rota.Error{Class: rota.ClassWait, Err: errors.New("no answer")}
	for name, test := range map[string]struct {
		err      error
		asked    rota.Step
		remedies int
	}{
		"the current one is refused":                        {err: rota.ErrRefused, remedies: 2},
		"the current one is refused, asked by a person":     {err: rota.ErrRefused, asked: rota.StepDeactivate, remedies: 2},
		"the issuer doesn't answer":                         {err: mute},
		"the issuer doesn't answer, asked by a person":      {err: mute, asked: rota.StepDeactivate},
		"the issuer can only delete, and it's refused":      {err: rota.ErrRefused, asked: rota.StepDelete, remedies: 2},
		"the issuer can only delete, and it doesn't answer": {err: mute, asked: rota.StepDelete},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			keys := &guardedKeys{AccessKeys: b.keys}
			b.secret.Issuer = keys
			retired := "deactivated"
			if test.asked == rota.StepDelete {
				b.secret.Issuer, retired = onlyDeletable{keys}, "deleted"
			}
			b.advance(t, rotation.Options{})
			b.days(90)
			b.advance(t, rotation.Options{})
			b.days(20)
			current := b.keys.Keys()[1].ID
			var tried []string
			keys.test = func(id string) error { tried = append(tried, id); return test.err }
			_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: test.asked})
			if err == nil || !strings.Contains(err.Error(), "the current credential must log in before the previous one is "+retired) {
				t.Errorf("it says %v", err)
			}
			if n := len(rota.RemediesOf(err)); n != test.remedies {
				t.Errorf("%d remedies, want %d: %v", n, test.remedies, rota.RemediesOf(err))
			}
			for _, k := range b.keys.Keys() {
				if !k.Active {
					t.Errorf("%s was deactivated", k.ID)
				}
			}
			if len(b.keys.Keys()) != 2 {
				t.Errorf("the keys are %v", b.keys.Keys())
			}
			if len(tried) == 0 || tried[0] != current {
				t.Errorf("it logged in with %v, want the current one, %s", tried, current)
			}
			if retired == "deleted" {
				return
			}
			keys.test = nil
			b.now = b.now.Add(2 * time.Hour)
			if got := steps(b.advance(t, rotation.Options{Force: test.asked})); got != "deactivate" {
				t.Errorf("once it logs in, it did %q", got)
			}
		})
	}
}

// An orphan is retired whether or not there's a current credential that logs in:
// nobody ever had it.
func TestAnOrphanGoesWithoutALogin(t *testing.T) {
	b := newBench(t)
	keys := &guardedKeys{AccessKeys: b.keys}
	b.secret.Issuer = keys
	b.advance(t, rotation.Options{})
	b.days(90)
	b.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the lost answer went unnoticed")
	}
	b.now = b.now.Add(time.Minute)
	keys.test = func(string) error { return errors.New("no answer") }
	r, _ := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	if got := steps(r); !strings.HasPrefix(got, "deactivate delete") {
		t.Errorf("it did %q", got)
	}
}

// A key that was there before the call that got lost isn't a trace of it, however
// new and unused it is.
func TestAKeyThatWasThereBeforeALostCallIsLeftAlone(t *testing.T) {
	b := newBench(t)
	o := memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}
	b.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: o, Settle: 10 * time.Second, Limit: 3})
	b.secret.Issuer = b.keys
	stranger := b.keys.CredentialID(b.keys.Plant())
	b.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate}); err == nil {
		t.Fatal("the lost answer went unnoticed")
	}
	for range 3 {
		b.now = b.now.Add(time.Minute)
		b.advance(t, rotation.Options{Force: rota.StepNone})
	}
	keys := b.keys.Keys()
	if len(keys) != 1 || keys[0].ID != stranger || !keys[0].Active {
		t.Errorf("the issuer has %v, want the stranger's %s alone, active", keys, stranger)
	}
}

// Even a list that lags, so the planner decides on a key that's somebody else's
// by now, changes nothing about whose it is.
func TestNothingOfSomebodyElsesIsRetired(t *testing.T) {
	for _, step := range []rota.Step{rota.StepNone, rota.StepDeactivate, rota.StepDelete} {
		b := newBench(t)
		b.advance(t, rotation.Options{})
		b.days(90)
		b.advance(t, rotation.Options{})
		// Somebody puts a version of their own in the previous one's place.
		planted := b.keys.Plant()
		c, err := b.store.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		previous, _ := rota.Find(c.Versions, rota.LabelPrevious)
		if err := b.store.Put(t.Context(), rota.PutRequest{Version: "theirs", Credential: planted, Labels: []rota.Label{"custom"}}); err != nil {
			t.Fatal(err)
		}
		if err := b.store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelPrevious, From: previous.ID, To: "theirs"}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			b.days(10)
			if r := b.advance(t, rotation.Options{Force: step}); strings.Contains(steps(r), "de") && !strings.HasPrefix(steps(r), "deliver") {
				t.Errorf("asked for %q, it did %q", step, steps(r))
			}
		}
		for _, k := range b.keys.Keys() {
			if k.ID == b.keys.CredentialID(planted) && !k.Active {
				t.Errorf("asked for %q, their key was deactivated", step)
			}
		}
	}
}
