package rotation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// DriveRequest is one step that is asked for by whoever leads the rotation from
// outside, as Secrets Manager does at its own.
type DriveRequest struct {
	// Step is Create, Set, Test or Promote.
	Step rota.Step
	// Version is the id of the version that the driver has announced, with
	// AWSPENDING and perhaps without a value.
	Version string
	// Adopt takes the current credential over before the first Create, where
	// Rota did not make it: it must log in. Without it that is an error.
	Adopt bool
}

// Driving is a driver's request as far as one turn has got with it.
type Driving struct {
	DriveRequest
	Taken []rota.Step // by this turn, in their order
}

func (d *Driving) chain() Chain {
	switch d.Step {
	case rota.StepCreate:
		return DriverCreate
	case rota.StepSet:
		return DriverSet
	case rota.StepTest:
		return DriverTest
	}
	return DriverPromote
}

func (d *Driving) took(step rota.Step) bool { return slices.Contains(d.Taken, step) }

// announced is the version that the driver means.
func (v *view) announced() rota.Version {
	version, _ := rota.FindID(v.Contents.Versions, v.Driver.Version)
	return version
}

// refuseDriver says why a driver must not get what it asks for: another
// rotation's version is left alone, and so is what only a person can rotate.
func (v *view) refuseDriver() error {
	r := v.Driver
	stop := func(hint, format string, args ...any) error {
		return &rota.Error{Op: string(r.Step), Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: fmt.Errorf(format, args...)}
	}
	const fresh = "start a new rotation; its own version then carries AWSPENDING"
	switch version := v.announced(); {
	case !slices.Contains([]rota.Step{rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote}, r.Step):
		return stop("create, set, test, promote", "no such step of a driven rotation: %q", r.Step)
	case v.Traits.Manual:
		return stop("rotate it by hand, then rota done "+v.Secret, "only a person can rotate it")
	case version.ID == "":
		return stop(fresh, "the store has no version %s that carries a label", r.Version)
	case version.Has(rota.LabelCurrent):
		return nil
	case !version.Has(rota.LabelPending):
		return stop(fresh, "version %s does not carry AWSPENDING", version.ID)
	case version.Empty && (r.Step == rota.StepSet || r.Step == rota.StepPromote):
		return stop("the step create first", "version %s has no value yet", version.ID)
	case !version.Empty && !version.Ours():
		return stop(fresh, "the value of version %s was not put there by Rota", version.ID)
	case len(v.Rivals) > 0 && (version.Empty || r.Step != rota.StepCreate) && v.begins(Decision{Step: r.Step, Version: r.Version}):
		return &rota.Error{Op: string(r.Step), Class: rota.ClassStop, Err: errors.New(v.Rivals[0].Reason), Remedies: v.Rivals[0].Remedies}
	case version.Empty && r.Step == rota.StepCreate && v.foreignCurrent() && !r.Adopt:
		return stop("rota adopt "+v.Secret, "the current credential %s was not made by Rota", v.current.CredentialID)
	case r.Step == rota.StepPromote && v.overtaken(version):
		current, _ := rota.Find(v.Contents.Versions, rota.LabelCurrent)
		return stop("start a new rotation", "AWSCURRENT was moved to version %s meanwhile: %w", current.ID, rota.ErrConflict)
	}
	return nil
}

func (v *view) foreignCurrent() bool { return v.hasCurrent && !v.current.Ours() }

// overtaken tells that another version was made current since this one was put.
func (v *view) overtaken(version rota.Version) bool {
	current, _ := rota.Find(v.Contents.Versions, rota.LabelCurrent)
	base := v.Progress.Versions[version.ID].Base
	return base != "" && base != current.ID
}

// ruleDriverDone ends a driver's step that nothing is left to do for.
func ruleDriverDone(v *view) (Decision, bool) {
	version := v.announced()
	done := v.Driver.took(v.Driver.Step) || version.Has(rota.LabelCurrent)
	switch v.Driver.Step {
	case rota.StepCreate:
		done = done || !version.Empty
	case rota.StepSet:
		done = done || v.Traits.IssuerChooses // it is valid since it was made
	case rota.StepPromote:
		done = true // the last rule of its chain
	}
	return Decision{Version: version.ID, Reason: string(v.Driver.Step) + " is done"}, done
}

// ruleDriver takes the step that the driver asks for.
func ruleDriver(v *view) (Decision, bool) {
	version := v.announced()
	if v.Driver.took(v.Driver.Step) || version.Has(rota.LabelCurrent) && !version.Has(rota.LabelPending) {
		return Decision{}, false
	}
	return Decision{Step: v.Driver.Step, Version: version.ID, Credential: version.CredentialID, Reason: "asked for by the rotation's driver"}, true
}

// ruleTakeOver adopts the current credential, which somebody else made: whoever
// attaches a rotation to a secret means the credential in it.
func ruleTakeOver(v *view) (Decision, bool) {
	if !v.foreignCurrent() || v.Driver.took(StepAdopt) {
		return Decision{}, false
	}
	return Decision{Step: StepAdopt, Version: v.current.ID, Credential: v.current.CredentialID, Reason: "a rotation was begun for the secret that holds it"}, true
}

// ruleRehearse is what a test means where there is nothing to test yet: Secrets
// Manager asks for it when rotation is configured and not begun.
func ruleRehearse(v *view) (Decision, bool) {
	version := v.announced()
	if !version.Empty {
		return Decision{}, false
	}
	return Decision{Step: rota.StepTest, Version: version.ID, Reason: "nothing is created yet: a rehearsal with the current credential"}, true
}

// ruleProveFirst tests again what this journal did not see tested.
func ruleProveFirst(v *view) (Decision, bool) {
	version := v.announced()
	if version.Has(rota.LabelCurrent) || v.Driver.took(rota.StepPromote) || !v.Progress.Versions[version.ID].TestedAt.IsZero() {
		return Decision{}, false
	}
	return Decision{Step: rota.StepTest, Version: version.ID, Credential: version.CredentialID, Reason: "asked for by the rotation's driver"}, true
}

// ruleConsistent waits until every call of unknown outcome shows in the list.
func ruleConsistent(v *view) (Decision, bool) {
	at := v.consistentAt()
	return Decision{Next: rota.StepCreate, At: at, Reason: "waiting until the issuer's list shows what the last call did"}, v.now.Before(at)
}

// ruleRoom retires the previous credential where it is in the way of the next:
// the issuer is full, or the next is to have its name.
func ruleRoom(v *view) (Decision, bool) {
	if v.unlisted() {
		return observe, true
	}
	full := v.Lists && v.Traits.Limit > 1 && len(v.Issued) >= v.Traits.Limit
	named := !v.Traits.IssuerChooses && v.Traits.Limit > 1
	switch {
	case v.retirable() && (full || named):
		return v.retireNow()
	case full:
		return v.full(v.now)
	}
	return Decision{}, false
}

// retireNow is the retirement just before the next is created.
func (v *view) retireNow() (Decision, bool) {
	if !v.previous.Ours() {
		return v.foreignPrevious(rota.StepDeactivate, v.now)
	}
	c, listed := v.issued(v.previous.CredentialID)
	if !listed || !c.Active {
		return v.do(rota.StepDelete, v.previous, v.now, "the next is due, and it is inactive")
	}
	if d, held := v.proveUnused(c.Use, v.now); held {
		return d, true
	}
	return v.do(rota.StepDeactivate, v.previous, v.now, "the next is due, and nobody uses it")
}
