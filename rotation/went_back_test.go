package rotation_test

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// restore puts the store back to when a version was current.
func (b *bench) restore(version string, c rota.Credential) {
	b.store = memory.NewStore(memory.Options{Now: b.rotator.Now})
	now := b.now
	b.now = now.Add(-91 * rota.Day)
	b.store.Plant(version, c, rota.LabelCurrent)
	b.store.Plant(version, c, rota.LabelServed)
	b.now = now
	b.secret.Store = b.store
}

// A store of its own, such as Vault's, is restored from a snapshot, and the journal
// isn't.
func TestAStoreThatWentBackIsNoticed(t *testing.T) {
	for name, inForce := range map[string]bool{"and the issuer with it": true, "alone": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			version, before, _ := b.store.Read(rota.LabelCurrent)
			b.days(90)
			b.advance(t, rotation.Options{})
			b.days(1)
			b.restore(version, before)
			if !inForce {
				if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(before)}); err != nil {
					t.Fatal(err)
				}
			}
			res := b.advance(t, rotation.Options{})
			at, _ := b.target.Current()
			switch {
			case inForce && !at.Credential.Equal(before):
				t.Errorf("consumers don't have what's current and works: %s", res.Last.Reason)
			case !inForce && res.Last.Hold != rotation.HoldOutdated:
				t.Errorf("what's current is refused: %s", res.Last.Reason)
			}
			if b.told(rota.EventFailed) != 1 {
				t.Error("nobody was told")
			}
			b.days(1)
			b.advance(t, rotation.Options{})
			if b.told(rota.EventFailed) != 1 {
				t.Error("it was noticed again")
			}
		})
	}
}

// The issuer's own word says nothing then: it may be from the same snapshot.
func TestAnIssuerThatShowsItsCredentialMayHaveGoneBackWithTheStore(t *testing.T) {
	b, k := newKept(t)
	version, before, _ := b.store.Read(rota.LabelCurrent)
	b.days(90)
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	b.inUse(t, k)
	b.days(1)
	b.restore(version, before)
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldOutdated || res.Last.Remedies[0].Action != rota.RemedyRotate {
		t.Errorf("held: %s", res.Last.Reason)
	}
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	b.inUse(t, k)
	b.days(1)
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldNone {
		t.Errorf("once it's rotated: %s", res.Last.Reason)
	}
}
