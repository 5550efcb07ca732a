package rotation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// A driver comes by to replace a credential and never to renew one. What ends unless it's
// renewed is refused before anything is made.
func TestADriverCantKeepALeaseAlive(t *testing.T) {
	for _, step := range []rota.Step{rota.StepTest, rota.StepCreate} {
		t.Run(string(step), func(t *testing.T) {
			l := newKeptAlive(t)
			l.store.Plant("v1", rota.Credential{}, rota.LabelPending)
			_, err := l.rotator.Drive(t.Context(), l.secret, rotation.DriveRequest{Step: step, Version: "v1", Adopt: true})
			if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "ends unless it's renewed") {
				t.Fatalf("it says %v", err)
			}
			if named, ok := errors.AsType[*rotation.SecretError](err); !ok || named.Secret != "prod/cms" {
				t.Errorf("it doesn't name the secret: %v", err)
			}
			if r := rota.RemediesOf(err); len(r) != 1 || !strings.Contains(r[0].Text, "rota serve") {
				t.Errorf("the remedies are %+v", r)
			}
			if n := len(l.keys.Keys()); n != 0 {
				t.Errorf("%d were made", n)
			}
		})
	}
}
