package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// onlyOne is an issuer whose next token ends the one that it's made from.
type onlyOne struct {
	now      func() time.Time
	made     []rota.Issued // the last is the valid one
	lose     int           // so many answers
	down     int           // for so many requests
	replaced []string
	// refuseNew refuses all logins but with the first one.
	refuseNew bool
	// lags means that the list shows what there was before the last creation, until the
	// ConsistencyDelay is over.
	lags bool
}

func (o *onlyOne) Traits() rota.Traits {
	return rota.Traits{Kind: "token", IssuerChooses: true, Limit: 1, Replaces: true, TestSuccesses: 1, ConsistencyDelay: 10 * time.Second}
}

func (o *onlyOne) CredentialID(c rota.Credential) string { return c.Field("id") }

func tokenOf(n int) rota.Credential {
	return rota.NewCredential(map[string]string{"id": fmt.Sprint("t", n), "token": fmt.Sprint("value", n)})
}

// add makes a token outside Rota.
func (o *onlyOne) add() rota.Credential {
	n := len(o.made) + 1
	o.made = append(o.made, rota.Issued{ID: fmt.Sprint("t", n), Active: true, CreatedAt: o.now()})
	return tokenOf(n)
}

func (o *onlyOne) Create(_ context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if o.down > 0 {
		o.down--
		return rota.Credential{}, &rota.Error{Class: rota.ClassWait, Err: errors.New("down")}
	}
	o.replaced = append(o.replaced, r.Replaces)
	last := len(o.made) - 1
	if last < 0 || o.made[last].ID != r.Replaces || !o.made[last].Active {
		return rota.Credential{}, &rota.Error{Class: rota.ClassStop, Err: fmt.Errorf("%q isn't the valid one", r.Replaces), Remedies: rota.Outside("make one by hand")}
	}
	o.made[last].Active = false
	c := o.add()
	if o.lose > 0 {
		o.lose--
		return rota.Credential{}, &rota.Error{Class: rota.ClassWait, Err: errors.New("no answer")}
	}
	return c, nil
}

func (o *onlyOne) Set(context.Context, rota.SetRequest) error { return nil }

func (o *onlyOne) Test(_ context.Context, r rota.TestRequest) error {
	if !o.works(r.Credential) {
		return rota.ErrRefused
	}
	if o.refuseNew && r.Credential.Field("id") != "t1" {
		return errors.New("no answer")
	}
	return nil
}

func (o *onlyOne) works(c rota.Credential) bool {
	return slices.ContainsFunc(o.made, func(i rota.Issued) bool { return i.ID == c.Field("id") && i.Active })
}

func (o *onlyOne) Delete(context.Context, rota.RetireRequest) error {
	return errors.New("nothing may be deleted where there's only one")
}

func (o *onlyOne) List(context.Context) ([]rota.Issued, error) {
	made := slices.Clone(o.made)
	if last := len(made) - 1; o.lags && last > 0 && o.now().Before(made[last].CreatedAt.Add(10*time.Second)) {
		made = made[:last]
		made[last-1].Active = true
	}
	return slices.DeleteFunc(made, func(i rota.Issued) bool { return !i.Active }), nil
}

func (o *onlyOne) LastUsed(context.Context, string) (rota.Use, error) {
	return rota.Use{Evidence: rota.EvidenceRecorded}, nil
}

// newOnlyOne is a bench with an adopted token.
func newOnlyOne(t *testing.T) (*bench, *onlyOne) {
	t.Helper()
	b := newBench(t)
	o := &onlyOne{now: b.rotator.Now}
	b.secret.Issuer = o
	c := o.add()
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: c}); err != nil {
		t.Fatal(err)
	}
	return b, o
}

func TestANewCredentialThatEndsTheOneInUse(t *testing.T) {
	b, o := newOnlyOne(t)
	b.days(90)
	_, plan, err := b.rotator.Observe(t.Context(), b.secret)
	if err != nil || plan.Step != rota.StepCreate || !strings.Contains(plan.Reason, "the old one stops working when the new one is made and can't be put back") {
		t.Errorf("the plan says %+v (%v)", plan, err)
	}
	if f := preflightOf(b, "overlap"); !f.Warning || !strings.Contains(f.Detail, "no overlap: from create until") {
		t.Errorf("the check says %+v", f)
	}
	if got := steps(b.advance(t, rotation.Options{})); got != "create test promote deliver reload" || !slices.Equal(o.replaced, []string{"t1"}) {
		t.Errorf("it did %q and replaced %v", got, o.replaced)
	}
	_, err = b.rotator.Rollback(t.Context(), b.secret)
	if err == nil || !strings.Contains(err.Error(), "nothing brings back a token") || len(rota.RemediesOf(err)) != 1 || rota.RemediesOf(err)[0].Action != rota.RemedyRotate {
		t.Errorf("a rollback: %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
	}
	b.days(30)
	if got := b.advance(t, rotation.Options{}); steps(got) != "" || got.Last.Hold != rotation.HoldNone {
		t.Errorf("a month later, it did %q: %+v", steps(got), got.Last)
	}
	var planned []string
	state, _, err := b.rotator.Observe(t.Context(), b.secret)
	if err != nil {
		t.Fatal(err)
	}
	for p := range rotation.Project(state, policy90, b.now, b.now.Add(200*rota.Day)) {
		planned = append(planned, string(p.Decision.Step))
	}
	if got := strings.Join(planned, " "); strings.Count(got, "create test promote deliver reload") != 2 || strings.Contains(got, "delete") {
		t.Errorf("half a year's plan: %s", got)
	}
}

func preflightOf(b *bench, check string) rota.Finding {
	for _, f := range rotation.Preflight(context.Background(), b.secret) {
		if f.Check == check {
			return f
		}
	}
	return rota.Finding{}
}

// The answer with the new value is lost, and the old one is dead. Rota knows which
// token it is by the list, and has the next one made from it.
func TestALostAnswerThatEndedTheOneInUse(t *testing.T) {
	for lost := 1; lost <= 3; lost++ {
		for _, asked := range []bool{false, true} {
			t.Run(fmt.Sprint(lost, asked), func(t *testing.T) {
				b, o := newOnlyOne(t)
				b.days(90)
				o.lose = lost
				if asked { // and whoever asked goes away
					_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
					b.now = b.now.Add(time.Minute)
				}
				for range 40 {
					r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
					if err == nil && r.Last.Hold == rotation.HoldNone && strings.Contains(steps(r), "reload") {
						break
					}
					if r.Last.Hold != rotation.HoldNone && r.Last.Hold != rotation.HoldRetrying {
						t.Fatalf("it holds: %+v", r.Last)
					}
					b.now = b.now.Add(time.Minute)
				}
				_, c, ok := b.store.Read(rota.LabelCurrent)
				if !ok || !o.works(c) || len(o.made) != lost+2 {
					t.Errorf("current is %s of %d", c.Field("id"), len(o.made))
				}
				var want []string
				for n := range lost + 1 {
					want = append(want, fmt.Sprint("t", n+1))
				}
				if !slices.Equal(o.replaced, want) {
					t.Errorf("it replaced %v, want %v", o.replaced, want)
				}
			})
		}
	}
}

// Once the next one is made from it, the token whose value was lost is gone, whatever
// the list goes on showing for a while.
func TestALostTokenIsReplacedOnceThoughTheListLags(t *testing.T) {
	b, o := newOnlyOne(t)
	b.days(90)
	o.lags, o.lose = true, 1
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the answer wasn't lost")
	}
	for range 5 {
		b.next(t)
		b.now = b.now.Add(3 * time.Second)
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !o.works(c) || !slices.Equal(o.replaced, []string{"t1", "t2"}) {
		t.Errorf("current is %s, and it replaced %v", c.Field("id"), o.replaced)
	}
}

// However often a rotation failed before: once an answer is lost that ended the one in
// use, the next attempt comes at once, and none is the last.
func TestALostAnswerAfterManyFailures(t *testing.T) {
	b, o := newOnlyOne(t)
	b.days(90)
	o.down = 12
	for range 12 {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
		b.now = b.now.Add(time.Minute)
	}
	o.lose = 1
	_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
	if since := b.now; err == nil || len(o.made) != 2 {
		t.Fatalf("%v, %d made", err, len(o.made))
	} else if r := b.next(t); b.now.Sub(since) > time.Minute || len(o.made) != 3 {
		t.Errorf("after %s, %d were made: %+v", b.now.Sub(since), len(o.made), r.Last)
	}
	// And if it's down for long just then.
	b.days(91)
	o.lose = 1
	_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	o.down = 40
	for range 60 {
		b.now = b.now.Add(15 * time.Minute)
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !o.works(c) || b.told(rota.EventQuarantined) > 0 {
		t.Errorf("current is %s of %d, %d attempts left", c.Field("id"), len(o.made), o.down)
	}
}

// If it can't know which token is its own, it touches none: whoever made it may use it.
func TestATokenOfSomebodyElseIsNotReplaced(t *testing.T) {
	b, o := newOnlyOne(t)
	b.days(10)
	o.made[0].Active = false
	o.add()
	b.days(80)
	got := b.advance(t, rotation.Options{})
	if got.Last.Hold != rotation.HoldNotAtIssuer || len(o.replaced) > 0 || len(got.Last.Remedies) != 1 || got.Last.Remedies[0].Action != rota.RemedyAdoptGiven {
		t.Errorf("it did %q and says %+v", steps(got), got.Last)
	}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: tokenOf(2)}); err != nil {
		t.Fatal(err)
	}
	b.days(90)
	if got := steps(b.advance(t, rotation.Options{})); got != "create test promote deliver reload" || !slices.Equal(o.replaced, []string{"t2"}) {
		t.Errorf("once it's adopted, it did %q and replaced %v", got, o.replaced)
	}
}

// Nothing can be made from a dead token, so nobody is told to try.
func TestADeadTokenInTheStoreIsNotSaidToBeReplaced(t *testing.T) {
	b, o := newOnlyOne(t)
	b.store.Plant("theirs", tokenOf(1), rota.LabelCurrent)
	o.add()
	o.made[0].Active = false
	b.days(1)
	_, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
	if got := actions(rota.RemediesOf(err)); !slices.Equal(got, []rota.RemedyAction{rota.RemedyAdoptGiven}) {
		t.Errorf("%v: %v", err, got)
	}
}

// The new one is the only one there is. It isn't given up, however often it's refused.
func TestTheOnlyCredentialIsNotGivenUp(t *testing.T) {
	b, o := newOnlyOne(t)
	b.days(90)
	o.refuseNew = true
	for range 20 * 24 {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
		b.now = b.now.Add(time.Hour)
	}
	if id, c, ok := b.store.Read(rota.LabelPending); !ok || !o.works(c) || len(o.made) != 2 {
		t.Fatalf("pending is %s, %v, and %d were made", id, ok, len(o.made))
	}
	if got := b.told(rota.EventQuarantined); got != 1 {
		t.Errorf("%d alerts say that it waits for a person", got)
	}
	o.refuseNew = false
	b.journal.Resume(b.secret.Name)
	for range 10 {
		_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
		b.now = b.now.Add(time.Hour)
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !o.works(c) {
		t.Errorf("once it logs in, %s is current", c.Field("id"))
	}
}

func TestNothingIsEndedUntilTargetsAreReady(t *testing.T) {
	b, o := newOnlyOne(t)
	b.secret.Targets = append(b.secret.Targets, unready{b.target})
	b.days(90)
	got := b.advance(t, rotation.Options{})
	if got.Last.Hold != rotation.HoldNotReady || len(o.replaced) > 0 || !o.works(tokenOf(1)) {
		t.Errorf("it did %q and says %+v", steps(got), got.Last)
	}
}

type unready struct{ *memory.Target }

func (unready) Name() string { return "full" }

func (unready) Preflight(context.Context) []rota.Finding {
	return []rota.Finding{{Check: "write", Detail: "it's full", Remedies: rota.Outside("make room")}}
}

func TestTheFirstOneIsMadeByHand(t *testing.T) {
	for name, there := range map[string]bool{"somebody has one": true, "nobody has one": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			o := &onlyOne{now: b.rotator.Now}
			b.secret.Issuer = o
			if there {
				o.add()
			}
			for _, options := range []rotation.Options{{}, {Force: rota.StepCreate}} {
				got := b.advance(t, options)
				if len(o.replaced) > 0 || len(got.Last.Remedies) != 1 || got.Last.Remedies[0].Action != rota.RemedyAdoptGiven {
					t.Errorf("it did %q and says %+v", steps(got), got.Last)
				}
			}
		})
	}
}
