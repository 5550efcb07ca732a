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
}

const leaseLife = 24 * time.Hour

func (l *leased) Traits() rota.Traits {
	return rota.Traits{Kind: "lease", IssuerChooses: true, TestSuccesses: 1, Lifetime: leaseLife, Revocable: true}
}
func (l *leased) CredentialID(c rota.Credential) string { return c.Field("id") }

func (l *leased) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
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

// Consumers of a lease that somebody revoked can't log in until it would have been
// renewed: that's long before it's noticed, unless somebody looks.
func TestALeaseThatWasRevokedOutsideIsNoticed(t *testing.T) {
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
	if result.Last.Hold != rotation.HoldDrifted || len(result.Last.Remedies) == 0 || result.Last.Remedies[0].Action != rota.RemedyRotate {
		t.Fatalf("after %s: %+v", b.now.Sub(before), result.Last)
	}
	if b.now.Sub(before) > leaseLife/8+time.Minute {
		t.Errorf("it took %s", b.now.Sub(before))
	}
	if result := b.advance(t, rotation.Options{Force: rota.StepCreate}); l.made != 2 || result.Last.Hold != rotation.HoldNone {
		t.Errorf("%d made: %+v", l.made, result.Last)
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
