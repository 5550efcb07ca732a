package rotation_test

import (
	"errors"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// Somebody puts half a password into the entry while a new one is in force that isn't
// promoted. Giving that up brings back what consumers have.
func TestHalfAPasswordIsNotPutBack(t *testing.T) {
	b := newBench(t)
	role := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now}})
	b.secret.Issuer = role
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	had, _ := b.target.Current()
	b.days(90)
	b.faults.Next("store.move", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil || role.Login(had.Credential) {
		t.Fatalf("the new password isn't in force, unpromoted: %v", err)
	}
	b.store.Plant("by-hand", rota.NewCredential(map[string]string{rota.FieldUsername: "app"}), rota.LabelCurrent)

	res, err := b.rotator.Rollback(t.Context(), b.secret)
	if err != nil {
		t.Fatal(err)
	}
	if !role.Login(had.Credential) {
		t.Errorf("what consumers have doesn't log in: %s", res.Last.Reason)
	}
	if res.Last.Hold != rotation.HoldForeignChange {
		t.Errorf("afterwards: %s", res.Last.Reason)
	}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: had.Credential}); err != nil {
		t.Errorf("handing in what consumers have: %v", err)
	}
}
