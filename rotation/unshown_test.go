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

// A credential that was made moments ago and is missing from the issuer's list is
// active, as far as anyone knows.
func TestAPreviousCredentialThatTheListDoesNotShowYetIsLeftAlone(t *testing.T) {
	moments := at(90).Add(2 * time.Second)
	for name, change := range map[string]func(*rotation.State){
		"the next is asked for":    func(st *rotation.State) { st.Force = rota.StepCreate },
		"a deactivation is":        func(st *rotation.State) { st.Force = rota.StepDeactivate },
		"a deletion is":            func(st *rotation.State) { st.Force = rota.StepDelete },
		"a driver makes the next":  func(st *rotation.State) { st.Driver, st.Traits.IssuerChooses = announced(st), false },
		"nobody asks for anything": func(*rotation.State) {},
	} {
		for _, deactivates := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				plan := func(listed bool, now time.Time) rotation.Decision {
					st := rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(90)})
					st.CanDeactivate, st.Traits.ConsistencyDelay = deactivates, 10*time.Second
					st.Contents.Versions[0].CreatedAt, st.Issued[0].CreatedAt = at(90).Add(-time.Second), at(90).Add(-time.Second)
					if !listed {
						st.Issued = st.Issued[1:]
					}
					change(&st)
					return rotation.Plan(st, policy90, now)
				}
				if d := plan(false, moments); d.Step != rota.StepNone || d.Hold != rotation.HoldNone || !d.At.Equal(at(90).Add(9*time.Second)) {
					t.Errorf("%s %s, at %s: %s", d.Step, d.Hold, d.At, d.Reason)
				}
				if d := plan(true, moments); d.Step != rota.StepNone || strings.Contains(d.Reason, "until the issuer's list shows") {
					t.Errorf("once it's listed: %s %s", d.Step, d.Reason)
				}
				if d := plan(false, at(91)); strings.Contains(d.Reason, "until the issuer's list shows") {
					t.Errorf("the day after: %s %s", d.Step, d.Reason)
				}
			})
		}
	}
}

// announced adds a version that a driver announced.
func announced(st *rotation.State) *rotation.Driving {
	st.Contents.Versions = append(slices.Clone(st.Contents.Versions), rota.Version{ID: "rota-3", Labels: []rota.Label{rota.LabelPending}, CreatedAt: at(90), Empty: true})
	return &rotation.Driving{DriveRequest: rotation.DriveRequest{Step: rota.StepCreate, Version: "rota-3"}}
}

// A token that a person revoked can't be reactivated: to go back to it would fail
// for good.
func TestARollbackToARevokedTokenIsRefused(t *testing.T) {
	for name, begun := range map[string]bool{"before it begins": false, "once it has begun": true} {
		t.Run(name, func(t *testing.T) {
			b := newTokens(t)
			b.advance(t, rotation.Options{})
			b.days(90)
			b.advance(t, rotation.Options{})
			b.days(1)
			revoke := func() {
				for _, k := range b.keys.Keys() {
					if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: k.ID}); err != nil {
						t.Fatal(err)
					}
				}
				b.days(1)
			}
			if begun {
				b.faults.Next("issuer.test", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}})
				if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
					t.Fatal("it succeeded")
				}
				revoke()
				_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
				if !slices.ContainsFunc(rota.RemediesOf(err), func(r rota.Remedy) bool { return r.Action == rota.RemedyRotate }) {
					t.Errorf("%v, try: %s", err, rota.Hint(rota.RemediesOf(err)))
				}
			} else {
				revoke()
				_, err := b.rotator.Rollback(t.Context(), b.secret)
				if err == nil || !strings.Contains(err.Error(), "is inactive, and the issuer can't reactivate it") || rota.RemediesOf(err)[0].Action != rota.RemedyRotate {
					t.Errorf("%v, try: %s", err, rota.Hint(rota.RemediesOf(err)))
				}
				if b.progress(t).Rollback != nil {
					t.Error("it has begun nevertheless")
				}
			}
			b.advance(t, rotation.Options{Force: rota.StepCreate})
			if _, c, _ := b.store.Read(rota.LabelCurrent); !b.keys.Login(c) {
				t.Error("the current token doesn't log in")
			}
		})
	}
}
