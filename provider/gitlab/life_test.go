package gitlab_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// Each kind of token lives through rotations whose every request may go wrong. After
// every step, the token that consumers have logs in, and what a lost answer leaves
// behind is gone in the end.
func TestTokensLiveThroughFaults(t *testing.T) {
	for name, kind := range issuers {
		for _, fault := range []gitlabtest.Fault{"", gitlabtest.FailBefore, gitlabtest.LoseReply} {
			for n := 0; n < 40; n++ {
				server, connection := start(t)
				now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
				clock := func() time.Time { return now }
				server.SetNow(clock)
				issuer := kind.Tokens
				issuer.Connection, issuer.Now = connection, clock
				target := memory.NewTarget("app", memory.Options{Now: clock})
				logsIn := func(step rota.Step) {
					if delivered, ok := target.Current(); ok && issuer.Test(t.Context(), rota.TestRequest{Credential: delivered.Credential}) != nil {
						// One look may hit the fault; two can't.
						if err := issuer.Test(t.Context(), rota.TestRequest{Credential: delivered.Credential}); err != nil {
							t.Errorf("%s, %s at request %d: after %s, the consumers' token: %v", name, fault, n, step, err)
						}
					}
				}
				rotator := &rotation.Rotator{
					Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock,
					Sleep:  func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
					Report: func(r rotation.Report) { logsIn(r.Decision.Step) },
				}
				secret := &rotation.Secret{
					Name: "prod/token", Issuer: &issuer, Store: memory.NewStore(memory.Options{Now: clock}), Targets: []rota.Target{target},
					Policy: rotation.Policy{RotateEvery: 30 * rota.Day, DeactivatePreviousAfter: 7 * rota.Day, DeletePreviousAfter: 7 * rota.Day},
				}
				if _, err := rotator.Advance(t.Context(), secret, rotation.Options{}); err != nil {
					t.Fatalf("%s: the first: %v", name, err)
				}
				now = now.Add(30 * rota.Day)
				if fault != "" {
					server.Nth(n, "", "/", fault)
				}
				for range 40 { // hours, then days
					_, _ = rotator.Advance(t.Context(), secret, rotation.Options{})
					now = now.Add(6 * time.Hour)
				}
				list, err := issuer.List(t.Context())
				current, _ := target.Current()
				if err != nil || len(list) != 1 || !slices.ContainsFunc(list, func(i rota.Issued) bool { return i.ID == issuer.CredentialID(current.Credential) }) {
					t.Errorf("%s, %s at request %d: ten days later there are %+v (%v)", name, fault, n, list, err)
				}
				if had := count(server, kind.place); name != "trigger" && fault == "" && had != 2 {
					t.Errorf("%s: without a fault, %d tokens were made, want 2", name, had)
				}
				if fault == "" {
					break
				}
			}
		}
	}
}
