package rotation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// leased is an issuer of credentials that end by themselves, and that somebody may
// revoke before that.
type leased struct {
	b       *bench
	made    int
	revoked map[string]bool
	away    bool
}

const leaseLife = 24 * time.Hour

func (l *leased) Traits() rota.Traits {
	return rota.Traits{Kind: "lease", IssuerChooses: true, TestSuccesses: 1, Lifetime: leaseLife, Revocable: true}
}
func (l *leased) CredentialID(c rota.Credential) string { return c.Field("id") }

func (l *leased) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
	if l.away {
		return rota.Credential{}, &rota.Error{System: "leased", Class: rota.ClassWait, Err: rota.ErrConflict}
	}
	l.made++
	return rota.NewCredential(map[string]string{"id": fmt.Sprint("lease-", l.made), rota.FieldExpiration: l.b.now.Add(leaseLife).Format(time.RFC3339)}), nil
}

func (l *leased) Set(context.Context, rota.SetRequest) error { return nil }

func (l *leased) Test(_ context.Context, r rota.TestRequest) error {
	if l.revoked[l.CredentialID(r.Credential)] {
		return &rota.Error{System: "leased", Class: rota.ClassWait, Err: rota.ErrRefused}
	}
	return nil
}

func (l *leased) Delete(_ context.Context, r rota.RetireRequest) error {
	l.revoked[r.CredentialID] = true
	return nil
}

// Consumers of a lease that somebody revoked can't log in until it's replaced. Nobody
// has another one in force, so that needs no person, even while a target is away.
func TestALeaseThatWasRevokedOutsideIsReplaced(t *testing.T) {
	b := newBench(t)
	l := &leased{b: b, revoked: map[string]bool{}}
	b.secret.Issuer, b.secret.Policy = l, rotation.Policy{}
	b.advance(t, rotation.Options{})
	b.next(t)
	l.revoked["lease-1"] = true
	failed := false
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		failed = failed || !f.OK && !f.Warning && len(f.Remedies) > 0
	}
	if !failed {
		t.Error("rota check says nothing")
	}
	before := b.now
	result := b.next(t)
	if l.made != 2 || result.Last.Hold != rotation.HoldNone || result.Status.Credential != "lease-2" {
		t.Fatalf("after %s: %d made, %+v", b.now.Sub(before), l.made, result.Last)
	}
	if b.now.Sub(before) > leaseLife/8+time.Minute {
		t.Errorf("it took %s", b.now.Sub(before))
	}
	events := b.notifier.Events()
	if last := events[len(events)-1]; last.Kind != rota.EventRotated || !strings.Contains(last.Reason, "lease-1, was revoked outside Rota") {
		t.Errorf("nobody was told: %+v", last)
	}
	// One that ended while Rota didn't run is renewed as ever.
	b.now = b.now.Add(2 * leaseLife)
	l.revoked["lease-2"] = true
	if result := b.advance(t, rotation.Options{}); l.made != 3 || result.Last.Hold != rotation.HoldNone {
		t.Errorf("%d made: %+v", l.made, result.Last)
	}
}

// Nothing brings a revoked lease back, so the current one has to log in first.
func TestALeaseIsRevokedOnceItsSuccessorLogsIn(t *testing.T) {
	b := newBench(t)
	l := &leased{b: b, revoked: map[string]bool{}}
	b.secret.Issuer, b.secret.Policy = l, rotation.Policy{}
	b.advance(t, rotation.Options{})
	b.now = b.now.Add(time.Hour)
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	l.revoked["lease-2"] = true
	_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepDelete})
	if err == nil || !strings.Contains(err.Error(), "must log in before the previous one is deleted") || l.revoked["lease-1"] {
		t.Errorf("%v; revoked are %v", err, l.revoked)
	}
	delete(l.revoked, "lease-2")
	b.now = b.now.Add(time.Hour)
	if got := steps(b.advance(t, rotation.Options{Force: rota.StepDelete})); got != "delete" || !l.revoked["lease-1"] {
		t.Errorf("once it does, it did %q; revoked are %v", got, l.revoked)
	}
	// One that has ended needs no login to be dropped.
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	b.now = b.now.Add(leaseLife + 2*rotation.EndMargin)
	l.revoked["lease-3"] = true
	if r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err != nil || !strings.Contains(steps(r), "delete") {
		t.Errorf("it did %q (%v)", steps(r), err)
	}
}

// What a person has stopped isn't begun, and a failure doesn't become drift that only
// they could end.
func TestARevokedLeaseThatCantBeReplacedYet(t *testing.T) {
	for name, test := range map[string]struct {
		before func(*bench, *leased)
		hold   rotation.HoldKind
	}{
		"paused": {func(b *bench, _ *leased) {
			b.rotator.Journal = &halting{Journal: b.rotator.Journal, halts: rotation.Halts{Paused: &rotation.Halt{By: "ann", At: b.now}}}
		}, rotation.HoldPaused},
		"the issuer is away": {func(_ *bench, l *leased) { l.away = true }, rotation.HoldNone},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := &leased{b: b, revoked: map[string]bool{}}
			b.secret.Issuer, b.secret.Policy = l, rotation.Policy{}
			b.advance(t, rotation.Options{})
			l.revoked["lease-1"] = true
			test.before(b, l)
			b.now = b.now.Add(leaseLife / 8)
			result, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
			if l.made != 1 || result.Last.Hold != test.hold || l.away != (err != nil) {
				t.Errorf("%d made, %+v, %v", l.made, result.Last, err)
			}
			if l.away && !strings.Contains(result.Last.Reason, "was revoked outside Rota") {
				t.Errorf("it says %q", result.Last.Reason)
			}
		})
	}
}
