package rotation_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// A person locks the account of a pair's new credential before that's in use. What was
// interrupted, or failed because of the lock, isn't done again, since that would unlock it.
func TestTheLockOnANewCredentialsAccountStays(t *testing.T) {
	for name, interrupt := range map[string]string{"after a lost answer to set": "issuer.set", "between set and test": "issuer.test"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			pair := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now, Faults: b.fault}})
			b.secret.Issuer = pair
			b.advance(t, rotation.Options{Force: rota.StepCreate})
			b.days(90)
			b.strike = func(c memory.Call) memory.Fault {
				if c.Op == interrupt {
					return memory.Fault{After: errAway}
				}
				return memory.Fault{}
			}
			if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
				t.Fatal("nothing failed")
			}
			b.strike = nil
			retire := rota.RetireRequest{CredentialID: "app_b"}
			if err := pair.Deactivate(t.Context(), retire); err != nil {
				t.Fatal(err)
			}
			for range 8 {
				b.now = b.progress(t).NextAt
				b.advance(t, rotation.Options{})
			}
			res := b.advance(t, rotation.Options{})
			if res.Last.Hold != rotation.HoldNotAtIssuer || !strings.Contains(res.Last.Reason, "somebody locked app_b") || len(res.Last.Remedies) == 0 {
				t.Errorf("it ended with %+v", res.Last)
			}
			for _, i := range pair.Keys() {
				if i.ID == "app_b" && i.Active {
					t.Error("Rota unlocked it")
				}
			}
			if err := pair.Reactivate(t.Context(), retire); err != nil {
				t.Fatal(err)
			}
			b.now = b.progress(t).NextAt
			if got := steps(b.advance(t, rotation.Options{})); !strings.Contains(got, "promote") {
				t.Errorf("once it's unlocked, it did %q", got)
			}
		})
	}
}
