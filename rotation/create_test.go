package rotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// unread is a store that can't read one version.
type unread struct {
	*memory.Store
	version string
	err     error
}

func (u *unread) Get(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
	if r.Version == u.version {
		return rota.Credential{}, u.err
	}
	return u.Store.Get(ctx, r)
}

// dependent are two roles of which the next password is made and set with the one in use.
type dependent struct {
	*memory.Alternating
	made, set []rota.Credential // what was in use then
	fault     error
}

func (d *dependent) Traits() rota.Traits {
	t := d.Alternating.Traits()
	t.FromCurrent = true
	return t
}

func (d *dependent) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	d.made = append(d.made, r.Current)
	return d.Alternating.Create(ctx, r)
}

func (d *dependent) Set(ctx context.Context, r rota.SetRequest) error {
	d.set = append(d.set, r.Current)
	if d.fault != nil {
		return d.fault
	}
	return d.Alternating.Set(ctx, r)
}

// An issuer that needs the credential in use isn't called without it.
func TestNothingIsMadeOrSetWithoutTheCredentialInUse(t *testing.T) {
	b := newBench(t)
	d := &dependent{Alternating: memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now}})}
	store := &unread{Store: b.store, err: &rota.Error{Class: rota.ClassWait, Err: errors.New("can't be decrypted")}}
	b.secret.Issuer, b.secret.Store = d, store
	b.secret.Policy.DriftCheck = rotation.DriftPassive
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	current, inUse, _ := b.store.Read(rota.LabelCurrent)
	b.days(1)
	d.made, d.set = nil, nil
	fails := func(what string) {
		t.Helper()
		if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("it says %v", err)
		}
	}
	store.version = current
	fails("can't be decrypted")
	if len(d.made) > 0 {
		t.Errorf("it was made without the one in use: %v", d.made)
	}
	// The same for setting it, in a turn that didn't make it.
	store.version, d.fault = "", &rota.Error{Class: rota.ClassStop, Err: errors.New("503")}
	fails("503")
	store.version, d.fault, d.set = current, nil, nil
	b.now = b.now.Add(time.Hour)
	fails("can't be decrypted")
	if len(d.set) > 0 {
		t.Errorf("it was set without the one in use: %v", d.set)
	}
	store.version = ""
	b.now = b.now.Add(time.Hour)
	b.advance(t, rotation.Options{})
	if len(d.set) != 1 || !d.set[0].Equal(inUse) || !d.made[0].Equal(inUse) {
		t.Errorf("made with %v, set with %v", d.made, d.set)
	}
}

// A value that couldn't be made isn't shown to targets.
func TestTargetsAreNotAskedAboutWhatWasNotMade(t *testing.T) {
	b := newBench(t)
	down := errors.New("down")
	m := &maker{Password: memory.NewPassword("app", memory.RolesOptions{}), traits: rota.Traits{Limit: 1}, fault: &rota.Error{Class: rota.ClassWait, Err: down}}
	b.secret.Issuer = m
	b.secret.Targets = []rota.Target{&choosy{b.target, func(rota.Credential) error { return errors.New("asked about nothing") }}}
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate}); !errors.Is(err, down) {
		t.Errorf("it says %v", err)
	}
}

// A version that was only announced holds no credential that could be needed.
func TestAVersionWithoutAValueIsNotInUse(t *testing.T) {
	b := newBench(t)
	d := &dependent{Alternating: memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now}})}
	b.secret.Issuer = d
	b.store.Plant("announced", rota.Credential{}, rota.LabelCurrent)
	if got := steps(b.advance(t, rotation.Options{Force: rota.StepCreate})); !strings.HasPrefix(got, "create set test promote") || !d.made[0].IsZero() {
		t.Errorf("it did %q with %v", got, d.made)
	}
}

// Where the next token ends the one in use, a driver's creation names the one to
// replace by the issuer's list, too, and goes on without none.
func TestADriverReplacesTheTokenThatWasLost(t *testing.T) {
	b, o := newOnlyOne(t)
	lists := 0
	var fault error
	b.secret.Issuer = countsLists{o, &lists, &fault}
	drive := func(version string) error {
		b.store.Plant(version, rota.Credential{}, rota.LabelPending)
		_, err := b.rotator.Drive(t.Context(), b.secret, rotation.DriveRequest{Step: rota.StepCreate, Version: version})
		return err
	}
	o.lose = 1
	if err := drive("announced-1"); err == nil {
		t.Fatal("the lost answer went unnoticed")
	}
	b.now = b.now.Add(time.Minute)
	fault = &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}
	if err := drive("announced-1"); err == nil || len(o.replaced) != 1 {
		t.Errorf("without a list, it replaced %v (%v)", o.replaced, err)
	}
	fault = nil
	b.now = b.now.Add(time.Minute)
	if err := drive("announced-1"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.replaced, []string{"t1", "t2"}) {
		t.Errorf("it replaced %v", o.replaced)
	}
	// A turn that has the list needs no other one.
	b, o = newOnlyOne(t)
	b.secret.Issuer = countsLists{o, &lists, &fault}
	b.days(90)
	lists = 0
	at := 0
	b.rotator.Report = func(r rotation.Report) {
		if r.Done && r.Decision.Step == rota.StepCreate {
			at = lists
		}
	}
	b.advance(t, rotation.Options{})
	if at != 1 {
		t.Errorf("it was made after %d lists", at)
	}
}

type countsLists struct {
	*onlyOne
	lists *int
	fault *error
}

func (c countsLists) List(ctx context.Context) ([]rota.Issued, error) {
	*c.lists++
	if *c.fault != nil {
		return nil, *c.fault
	}
	return c.onlyOne.List(ctx)
}

// If the mark of an earlier rotation can't be taken off, no credential is made, and the
// audit says so.
func TestNothingIsMadeWhileAMarkCannotBeTakenOff(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	key := b.keys.Plant()
	b.store.Plant("called-off", key, rota.LabelMade("called-off"))
	for _, step := range []func(context.Context, rota.RetireRequest) error{b.keys.Deactivate, b.keys.Delete} {
		if err := step(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(key)}); err != nil {
			t.Fatal(err)
		}
	}
	b.days(90)
	b.faults.Next("store.move", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}})
	_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	if err == nil || !strings.Contains(err.Error(), "create: take ROTA_MADE_called-off off: ") || len(b.keys.Keys()) != 1 {
		t.Errorf("%v; %d keys", err, len(b.keys.Keys()))
	}
	last := b.journal.Entries()[len(b.journal.Entries())-1]
	for _, e := range b.journal.Entries() {
		if e.Step == string(rota.StepCreate) {
			last = e
		}
	}
	if last.Outcome != rotation.OutcomeFailed || !strings.Contains(last.Detail, "denied") {
		t.Errorf("the audit says %+v", last)
	}
	for _, i := range b.progress(t).Intents {
		if i.Until.After(b.now) {
			t.Errorf("an intent is open until %s", i.Until)
		}
	}
	b.now = b.now.Add(time.Hour)
	if got := steps(b.advance(t, rotation.Options{})); !strings.HasPrefix(got, "create test promote") {
		t.Errorf("later, it did %q", got)
	}
}

// A version that somebody took the mark of service off is marked again, also where the
// journal keeps the store.
func TestTheMarkOfServiceIsPutBackInTheJournalsStore(t *testing.T) {
	s := newTale(t)
	s.keep()
	s.secret.Targets, s.secret.Reloaders = nil, nil
	s.turns(0)
	version, _, _ := s.store.Read(rota.LabelServed)
	s.outside(func() error {
		return s.store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelServed, From: version})
	})
	s.turns(1)
	if err := s.acts[len(s.acts)-1].err; err != nil {
		t.Fatal(err)
	}
	if again, _, _ := s.store.Read(rota.LabelServed); again != version || version == "" {
		t.Errorf("it's on %q, and was on %q", again, version)
	}
}
