package rotation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// DriveRequest is one step requested by an outside driver of the rotation, such
// as Secrets Manager.
type DriveRequest struct {
	// Step is create, set, test or promote.
	Step rota.Step
	// Version is the id of the version that the driver has announced. It
	// carries AWSPENDING and might have no value yet.
	Version string
	// Adopt takes over the current credential before the first create if Rota
	// didn't make it, and the previous one if it's in the way. The current one must
	// be able to log in, and the previous one must prove itself, as for
	// [Rotator.Adopt]. Without Adopt, a credential that Rota didn't make is an error.
	Adopt bool
}

// Driving is a driver's request and one turn's progress with it.
type Driving struct {
	DriveRequest
	Taken []rota.Step // by this turn, in order
	// Rehearsal means that the announced version holds a copy of the current
	// credential, which Secrets Manager makes to have only the test called.
	Rehearsal bool
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

// announced returns the version that the driver announced.
func (v *view) announced() rota.Version {
	version, _ := rota.FindID(v.Contents.Versions, v.Driver.Version)
	return version
}

// refuseDriver returns an error if a driver's request must be refused: for
// example, for another rotation's version, or for a credential that only a
// person can rotate.
func (v *view) refuseDriver() error {
	r := v.Driver
	refuse := func(remedies []rota.Remedy, format string, args ...any) error {
		return &rota.Error{Op: string(r.Step), Class: rota.ClassStop, Remedies: remedies, Err: fmt.Errorf(format, args...)}
	}
	stop := func(hint, format string, args ...any) error { return refuse(rota.Outside(hint), format, args...) }
	const fresh = "start a new rotation; its own version then carries AWSPENDING"
	switch version := v.announced(); {
	case !slices.Contains([]rota.Step{rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote}, r.Step):
		return stop("create, set, test, promote", "no such step of a driven rotation: %q", r.Step)
	case v.Traits.Manual:
		return refuse([]rota.Remedy{{Action: rota.RemedyOutside, Text: "rotate it by hand", Secret: v.Secret, Then: rota.RemedyDone}}, "only a person can rotate it")
	case version.ID == "":
		return stop(fresh, "the store has no version %s that carries a label", r.Version)
	case version.Has(rota.LabelCurrent):
		return nil
	case !version.Has(rota.LabelPending):
		return stop(fresh, "version %s does not carry AWSPENDING", version.ID)
	case v.Traits.Renewable && (version.Empty || r.Rehearsal):
		return stop("turn off Secrets Manager's rotation of the secret (aws secretsmanager cancel-rotate-secret), and leave its rotation to rota serve, or to rota run or the function's sweep on a short schedule",
			"a %s ends unless it's renewed every so often, and Secrets Manager only calls to replace it", v.Traits.Kind)
	case version.Empty && (r.Step == rota.StepSet || r.Step == rota.StepPromote):
		return stop("the step create first", "version %s has no value yet", version.ID)
	case !version.Empty && !version.Ours() && !r.Rehearsal:
		return stop(fresh, "the value of version %s was not put there by Rota", version.ID)
	case len(v.Rivals) > 0 && (version.Empty || r.Step != rota.StepCreate) && v.begins(Decision{Step: r.Step, Version: r.Version}):
		return &HeldError{HoldRival, &rota.Error{Op: string(r.Step), Class: rota.ClassStop, Err: errors.New(v.Rivals[0].Reason), Remedies: v.Rivals[0].Remedies}}
	case version.Empty && r.Step == rota.StepCreate && v.foreignCurrent() && !r.Adopt:
		return &HeldError{HoldNotAdopted, refuse([]rota.Remedy{v.remedy(rota.RemedyAdopt, "")}, "the current credential %s was not made by Rota", v.current.CredentialID)}
	case r.Step == rota.StepPromote && v.overtaken(version):
		current, _ := rota.Find(v.Contents.Versions, rota.LabelCurrent)
		return stop("start a new rotation", "AWSCURRENT was moved to version %s meanwhile: %w", current.ID, rota.ErrConflict)
	}
	return nil
}

func (v *view) foreignCurrent() bool { return v.hasCurrent && !v.current.Ours() }

// overtaken reports whether another version was made current since this one was
// put.
func (v *view) overtaken(version rota.Version) bool {
	current, _ := rota.Find(v.Contents.Versions, rota.LabelCurrent)
	base := v.Progress.Versions[version.ID].Base
	return base != "" && base != current.ID
}

// ruleDriverDone ends a driver's step once nothing is left to do.
func ruleDriverDone(v *view) (Decision, bool) {
	version := v.announced()
	done := v.Driver.took(v.Driver.Step) || version.Has(rota.LabelCurrent)
	switch v.Driver.Step {
	case rota.StepCreate:
		done = done || !version.Empty
	case rota.StepSet:
		done = done || v.Traits.IssuerChooses // it was valid from the start
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

// ruleTakeOver adopts a current credential that Rota didn't make: attaching a
// rotation to a secret implies handing over the credential in it.
func ruleTakeOver(v *view) (Decision, bool) {
	if !v.foreignCurrent() || v.Driver.took(StepAdopt) {
		return Decision{}, false
	}
	return Decision{Step: StepAdopt, Version: v.current.ID, Credential: v.current.CredentialID, Reason: "a rotation was begun for the secret that holds it"}, true
}

// ruleRehearse tests the current credential if there's nothing new to test: no
// value yet, or a copy of the current one. Secrets Manager asks for that when
// rotation is configured but not started.
func ruleRehearse(v *view) (Decision, bool) {
	version := v.announced()
	if !version.Empty && !v.Driver.Rehearsal {
		return Decision{}, false
	}
	return Decision{Step: rota.StepTest, Version: version.ID, Reason: "nothing is created yet: a rehearsal with the current credential"}, true
}

// ruleProveFirst tests a version again if this journal has no record of a recent
// test.
func ruleProveFirst(v *view) (Decision, bool) {
	version := v.announced()
	if version.Has(rota.LabelCurrent) || v.Driver.took(rota.StepPromote) || v.tested(v.Progress.Versions[version.ID]) {
		return Decision{}, false
	}
	return Decision{Step: rota.StepTest, Version: version.ID, Credential: version.CredentialID, Reason: "asked for by the rotation's driver"}, true
}

// ruleConsistent waits until the issuer's list shows the effect of every call of
// unknown outcome.
func ruleConsistent(v *view) (Decision, bool) {
	at := v.consistentAt()
	return Decision{Next: rota.StepCreate, At: at, Reason: "waiting until the issuer's list shows what the last call did"}, v.now.Before(at)
}

// ruleRoom retires the previous credential if it blocks the next one, because
// the issuer is full or the next one will reuse its name.
func ruleRoom(v *view) (Decision, bool) {
	if v.unlisted() {
		return observe, true
	}
	full := v.isFull()
	named := !v.Traits.IssuerChooses && v.Traits.Limit != 0
	switch {
	case v.retirable() && (full || named):
		return v.retireNow()
	case full:
		return v.full(v.now)
	}
	return Decision{}, false
}

// retireNow retires the previous credential just before the next one is created.
func (v *view) retireNow() (Decision, bool) {
	if v.adoptsPrevious() && v.Driver.Adopt {
		return v.do(StepAdopt, v.previous, v.now, previousReason)
	}
	if !v.previous.Ours() {
		return v.foreignPrevious(v.retirement(), v.now)
	}
	if v.mayYetShow(v.previous) {
		return v.waitToShow(v.previous)
	}
	c, _ := v.issued(v.previous.CredentialID)
	if !c.Active && (v.Lists || v.CanDeactivate) {
		return v.do(rota.StepDelete, v.previous, v.now, "the next is due, and it is inactive")
	}
	if d, held := v.proveUnused(c.Use, v.now); held {
		return d, true
	}
	return v.do(v.retirement(), v.previous, v.now, "the next is due%s", nobody(v.Lists))
}
