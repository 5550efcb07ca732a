package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// What people do to roles by hand, on a real server, and each way out that Rota
// names for it, followed to its end.
func TestEveryWayOutOfADeadEndLeadsOut(t *testing.T) {
	s := shared.Get(t)
	type world struct {
		issuer  rota.Issuer
		roles   [2]string
		store   *memory.Store
		rotator *rotation.Rotator
		secret  *rotation.Secret
		now     time.Time
	}
	current := func(w *world) rota.Credential {
		_, c, _ := w.store.Read(rota.LabelCurrent)
		return c
	}
	other := func(w *world) string {
		if current(w).Field(rota.FieldUsername) == w.roles[0] {
			return w.roles[1]
		}
		return w.roles[0]
	}
	for _, end := range []struct {
		name  string
		given func(t *testing.T, w *world) rota.Credential // returns the one in use
		ways  int
	}{
		{"the other role can log in", func(t *testing.T, w *world) rota.Credential {
			s.Exec(t, "ALTER ROLE "+quote(other(w))+" LOGIN PASSWORD '"+must(verifier("made by hand 1"))+"' VALID UNTIL 'infinity'")
			w.now = w.now.Add(90 * rota.Day)
			return current(w)
		}, 1},
		{"the current role's login was taken away", func(t *testing.T, w *world) rota.Credential {
			s.Exec(t, "ALTER ROLE "+quote(current(w).Field(rota.FieldUsername))+" NOLOGIN PASSWORD NULL")
			w.now = w.now.Add(90 * rota.Day)
			return rota.Credential{}
		}, 1},
		{"the current role's password has expired", func(t *testing.T, w *world) rota.Credential {
			s.Exec(t, "ALTER ROLE "+quote(current(w).Field(rota.FieldUsername))+" VALID UNTIL '2020-01-01'")
			w.now = w.now.Add(90 * rota.Day)
			return rota.Credential{}
		}, 2},
		{"the store holds half a credential", func(_ *testing.T, w *world) rota.Credential {
			c := current(w)
			w.store.Plant("by-hand", rota.NewCredential(map[string]string{rota.FieldUsername: c.Field(rota.FieldUsername)}), rota.LabelCurrent)
			w.now = w.now.Add(rota.Day)
			return c
		}, 2},
	} {
		t.Run(end.name, func(t *testing.T) {
			ways := 0
			for alternative := range 4 {
				t.Run(fmt.Sprint("alternative ", alternative), func(t *testing.T) {
					cfg := pair(t, s)
					w := &world{issuer: must(admin(t, s).Alternating(cfg)), roles: cfg.Roles, now: time.Now()}
					o := memory.Options{Now: func() time.Time { return w.now }}
					w.store = memory.NewStore(o)
					w.secret = &rotation.Secret{Name: "app", Issuer: w.issuer, Store: w.store,
						Policy: rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}}
					w.rotator = &rotation.Rotator{Journal: memory.NewJournal(o), Now: o.Now,
						Sleep: func(_ context.Context, d time.Duration) error { w.now = w.now.Add(d); return nil }}
					if _, err := w.rotator.Advance(t.Context(), w.secret, rotation.Options{Force: rota.StepCreate}); err != nil {
						t.Fatal(err)
					}
					inUse := end.given(t, w)
					operator := testenv.Operator{Rotator: w.rotator, Secret: w.secret, InUse: inUse, Wait: func() { w.now = w.now.Add(rota.Day) }}
					if !operator.LeadOut(t, alternative) {
						return
					}
					ways++
					if err := w.issuer.Test(t.Context(), rota.TestRequest{Credential: current(w)}); err != nil {
						t.Errorf("the current credential doesn't log in: %v", err)
					}
				})
			}
			if ways != end.ways {
				t.Errorf("%d ways lead out, want %d", ways, end.ways)
			}
		})
	}
}
