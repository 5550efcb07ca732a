package testenv

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Operator is a person who does exactly what a remedy says, in Rota or at the
// issuer, and knows nothing else.
type Operator struct {
	Rotator *rotation.Rotator
	Secret  *rotation.Secret
	// InUse is the credential that consumers use, the zero value if there's none.
	InUse rota.Credential
	// Wait lets a day pass, for remedies that say to wait.
	Wait func()
}

// enough is how many remedies must lead out of any hold.
const enough = 3

// LeadOut does what Rota says until nothing is held and nothing fails. At the
// first hold it takes the alternative with that number, then what's recommended.
// It reports false if the first hold has no such alternative, or the operator
// can't carry it out.
func (o Operator) LeadOut(t testing.TB, alternative int) bool {
	t.Helper()
	var refused error // what Rota answered to the last remedy
	for n := 0; ; n++ {
		res, err := o.Rotator.Advance(t.Context(), o.Secret, rotation.Options{})
		remedies := res.Last.Remedies
		if refused != nil {
			err, refused = refused, nil
		}
		if err != nil {
			remedies = rota.RemediesOf(err)
		}
		switch {
		case err == nil && res.Last.Hold == rotation.HoldNone:
			if n == 0 {
				t.Fatal("nothing is held: this is no dead end")
			}
			return true
		case err == nil && n > 0 && remedies != nil && remedies[0].Action == rota.RemedyWait:
			return true // time alone ends it
		case len(remedies) == 0:
			t.Fatalf("no remedy: %s, %v", res.Last.Reason, err)
		case n == enough:
			t.Fatalf("%d remedies did not lead out: %s, %v; next would be %s", enough, res.Last.Reason, err, rota.Hint(remedies))
		}
		for _, required := range rota.Requirements(remedies) {
			if n == 0 {
				if alternative >= len(required) || !o.carryOut(t, required[alternative], &refused) {
					return false
				}
				continue
			}
			if !o.carryOut(t, required[0], &refused) {
				t.Fatalf("can't be carried out: %s", required[0])
			}
		}
	}
}

// carryOut does what a remedy says, and notes Rota's refusal. It reports false
// if the remedy can't mean anything here.
func (o Operator) carryOut(t testing.TB, r rota.Remedy, refused *error) bool {
	t.Helper()
	t.Logf("%s: %s", o.Secret.Name, r)
	ctx := t.Context()
	object := rota.RetireRequest{CredentialID: r.Object}
	force := func(step rota.Step) {
		_, *refused = o.Rotator.Advance(ctx, o.Secret, rotation.Options{Force: step})
	}
	switch {
	case r.Action == rota.RemedyWait:
		o.Wait()
	case r.Action == rota.RemedyRotate:
		force(rota.StepCreate)
	case r.Action == rota.RemedyDelete:
		force(rota.StepDelete)
	case r.Action == rota.RemedyDeactivate:
		force(rota.StepDeactivate)
	case r.Action == rota.RemedyRollBack:
		_, *refused = o.Rotator.Rollback(ctx, o.Secret)
	case r.Action == rota.RemedyAdopt:
		_, *refused = o.Rotator.Adopt(ctx, o.Secret, rotation.AdoptOptions{})
	case r.Action == rota.RemedyAdoptGiven && !o.InUse.IsZero():
		_, *refused = o.Rotator.Adopt(ctx, o.Secret, rotation.AdoptOptions{Credential: o.InUse})
	case r.Verb == rota.VerbReactivate:
		on, ok := o.Secret.Issuer.(rota.Deactivator)
		return ok && on.Reactivate(ctx, object) == nil
	case r.Verb == rota.VerbDeactivate, r.Verb == rota.VerbDelete:
		off, ok := o.Secret.Issuer.(rota.Deactivator)
		if !ok || r.Object == o.Secret.Issuer.CredentialID(o.InUse) {
			return false // a person checks first that nobody uses it
		}
		if err := off.Deactivate(ctx, object); err != nil || r.Verb == rota.VerbDeactivate {
			return err == nil
		}
		return o.Secret.Issuer.Delete(ctx, object) == nil
	default:
		return false
	}
	if next, more := r.Next(); more {
		return o.carryOut(t, next, refused)
	}
	return true
}
