package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// Someone changes the password of the role in use by hand. Rota notices at the next
// look, by the verifier if it may read that, or else by a login.
func TestAPasswordChangedByHandIsNoticed(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct {
		name    string
		as      func(testing.TB, *testenv.PostgresServer) *Connection
		check   rotation.DriftCheck
		noticed bool
	}{
		{"by the verifier", superuser, rotation.DriftPassive, true},
		{"by the verifier and a login", superuser, rotation.DriftLogin, true},
		{"by a login", admin, rotation.DriftLogin, true},
		{"not without either", admin, rotation.DriftPassive, false},
	} {
		for roles := 1; roles <= 2; roles++ {
			t.Run(fmt.Sprint(test.name, ", ", roles, " roles"), func(t *testing.T) {
				var issuer rota.Issuer
				if c := test.as(t, s); roles == 1 {
					issuer = must(c.Password(PasswordConfig{Role: role(t, s)}))
				} else {
					issuer = must(c.Alternating(pair(t, s)))
				}
				now := time.Now()
				o := memory.Options{Now: func() time.Time { return now }}
				store := memory.NewStore(o)
				secret := &rotation.Secret{Name: "app", Issuer: issuer, Store: store, Policy: rotation.Policy{RotateEvery: 90 * rota.Day, DriftCheck: test.check}}
				rotator := &rotation.Rotator{Journal: memory.NewJournal(o), Now: o.Now,
					Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }}
				look := func(force rota.Step) rotation.Decision {
					t.Helper()
					now = now.Add(rota.Day)
					r, err := rotator.Advance(t.Context(), secret, rotation.Options{Force: force})
					if err != nil {
						t.Fatal(err)
					}
					return r.Last
				}
				look(rota.StepCreate)
				if d := look(rota.StepNone); d.Hold != rotation.HoldNone {
					t.Fatalf("before: %s", d.Reason)
				}
				_, current, _ := store.Read(rota.LabelCurrent)
				byHand := testenv.With(current, rota.FieldPassword, "made by hand 1")
				s.Exec(t, "ALTER ROLE "+quote(current.Field(rota.FieldUsername))+" PASSWORD '"+must(verifier("made by hand 1"))+"'")

				if d := look(rota.StepNone); (d.Hold == rotation.HoldDrifted) != test.noticed {
					t.Errorf("a look says %q: %s", d.Hold, d.Reason)
				}
				findings := rotation.Preflight(t.Context(), secret)
				i := slices.IndexFunc(findings, func(f rota.Finding) bool { return strings.HasSuffix(f.Check, "is in force") })
				if i < 0 || findings[i].OK == test.noticed {
					t.Errorf("check says %+v", findings)
				}
				if _, err := rotator.Adopt(t.Context(), secret, rotation.AdoptOptions{Credential: byHand}); err != nil {
					t.Fatal(err)
				}
				if d := look(rota.StepNone); d.Hold != rotation.HoldNone {
					t.Errorf("after the adoption: %s", d.Reason)
				}
			})
		}
	}
}
