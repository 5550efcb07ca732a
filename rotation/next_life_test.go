package rotation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// A delivery or reload that was given up holds nothing back once another credential is
// current: where there's no overlap, consumers can't log in until they have that one.
func TestWhatWasGivenUpForOneCredentialIsTriedForTheNext(t *testing.T) {
	for op, step := range map[string]rota.Step{"target.deliver": rota.StepDeliver, "reloader.reload": rota.StepReload} {
		t.Run(op, func(t *testing.T) {
			b := newBench(t)
			b.secret.Issuer = memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now, Faults: b.fault}})
			down := true
			b.strike = func(c memory.Call) memory.Fault {
				if down && c.Op == op {
					return memory.Fault{Before: errors.New("503")}
				}
				return memory.Fault{}
			}
			_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
			for range 25 {
				b.days(1)
				_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
			}
			if f := b.progress(t).Failure; f == nil || f.Step != step || f.Attempts != b.secret.Policy.WithDefaults().MaxAttempts {
				t.Fatalf("it wasn't given up: %+v", f)
			}
			_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
			if f := b.progress(t).Failure; f == nil || f.Step != step || f.Attempts != 1 {
				t.Errorf("for the next one, it's %+v", f)
			}
			down = false
			b.now = b.now.Add(time.Minute)
			_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
			_, current, _ := b.store.Read(rota.LabelCurrent)
			if has, _ := b.target.Current(); !has.Credential.Equal(current) || len(b.progress(t).Versions) != 2 || b.progress(t).Failure != nil {
				t.Errorf("a minute after it's back, the target doesn't have it: %+v", b.progress(t).Failure)
			}
		})
	}
}
