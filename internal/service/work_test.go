package service

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/rotation"
)

func TestWorkShowsTheNameOfASecretSeparately(t *testing.T) {
	of := func(err error) error { return &rotation.SecretError{Secret: "app", Err: err} }
	denied := rota.WithRemedies(errors.New("denied"), rota.Outside("allow it"))
	for _, c := range []struct {
		name string
		err  error
		want api.WorkSecretDoc
	}{
		{"the secret's own error", of(denied), api.WorkSecretDoc{State: api.WorkFailed, Error: "denied", Hint: "allow it"}},
		{"with remedies around it", rota.WithRemedies(of(errors.New("denied")), rota.Outside("allow it")), api.WorkSecretDoc{State: api.WorkFailed, Error: "denied", Hint: "allow it"}},
		{"one that quotes the name", of(errors.New("app: no such role")), api.WorkSecretDoc{State: api.WorkFailed, Error: "app: no such role"}},
		{"another error", errors.New("secret key missing"), api.WorkSecretDoc{State: api.WorkFailed, Error: "secret key missing"}},
		{"a turn that didn't start", of(&engine.SkippedError{Err: context.Canceled}), api.WorkSecretDoc{State: api.WorkSkipped, Error: "skipped: context canceled"}},
		{"nothing to do", of(fmt.Errorf("version 1 is %w", rota.ErrAdopted)), api.WorkSecretDoc{State: api.WorkNothing, Reason: "version 1 is already Rota's: nothing was done"}},
		{"nothing to do to a thing called adopt", of(fmt.Errorf("adopt: %w", rota.ErrAdopted)), api.WorkSecretDoc{State: api.WorkNothing, Reason: "adopt: already Rota's: nothing was done"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := outcome{name: "app", err: c.err}.doc(rota.StepCreate)
			if got.State != c.want.State || got.Error != c.want.Error || got.Reason != c.want.Reason || got.Hint != c.want.Hint {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestWhoeverRetiresACredentialInUseHearsThatRotaLooksAgain(t *testing.T) {
	held := rotation.Result{Last: rotation.Decision{Hold: rotation.HoldInUse, Next: rota.StepDeactivate, Reason: "no use was seen in 1 look"}}
	doc := outcome{name: "app", result: held}.doc(rota.StepDeactivate)
	if doc.State != api.WorkHeld || len(doc.Remedies) != 1 || doc.Remedies[0].Action != rota.RemedyWait {
		t.Errorf("%+v", doc)
	}
	held.Last.Remedies = rota.Outside("enable it")
	if doc := (outcome{name: "app", result: held}).doc(rota.StepDeactivate); rota.Hint(doc.Remedies) != "enable it" {
		t.Errorf("its own remedies: %+v", doc.Remedies)
	}
}

// A process was killed during a call, and this one can't know yet what it did.
func TestWhatAnEarlierProcessDidNotFinishIsNoSuccess(t *testing.T) {
	left := rotation.Result{Last: rotation.Decision{Next: rota.StepCreate, Unfinished: true, Reason: "waiting until the issuer's list shows what the last call did"}}
	for wanted, want := range map[rota.Step]api.WorkState{rota.StepNone: api.WorkHeld, rota.StepCreate: api.WorkHeld, rota.StepDelete: api.WorkNothing} {
		if doc := (outcome{name: "app", result: left}).doc(wanted); doc.State != want || doc.Reason == "" {
			t.Errorf("asked to %q: %+v, want %s", wanted, doc, want)
		}
	}
}
