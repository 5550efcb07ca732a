package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// A lease outlives the outage of its store, although that store's circuit is open and the
// secret gets no turns.
func TestLeasesAreKeptAliveBehindAnOpenCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := memory.NewJournal(memory.Options{})
		rotator := &rotation.Rotator{Journal: journal}
		storeCalls := 0
		var secrets engine.Secrets
		issuers := map[string]*memory.Sessions{}
		var all []*rotation.Secret
		for name, systems := range map[string][]string{"behind": {"kv", "vault"}, "beside": {"vault"}} {
			o := memory.SessionsOptions{Lifetime: 5 * rota.Day, RenewFor: time.Hour}
			issuers[name] = memory.NewSessions(o)
			s := &rotation.Secret{
				Name: name, Systems: systems, Issuer: issuers[name], Policy: rotation.Policy{}.ForLifetime(o.Lifetime),
				Store: memory.NewStore(memory.Options{Faults: func(memory.Call) memory.Fault { storeCalls++; return memory.Fault{} }}),
			}
			if _, err := rotator.Advance(t.Context(), s, rotation.Options{}); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		all = append(all, &rotation.Secret{Name: "a key", Systems: []string{"kv"}, Issuer: memory.NewAccessKeys(memory.AccessKeysOptions{}), Store: memory.NewStore(memory.Options{})})
		secrets.Replace(all, nil)
		var open []string
		k := engine.NewKeepAlive(engine.KeepAliveOptions{Rotator: rotator, Secrets: &secrets, OpenCircuits: func() []string { return open }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		lastsUntil := func(name string) time.Time { return issuers[name].Keys()[0].ExpiresAt }
		first := lastsUntil("behind")
		time.Sleep(30 * time.Minute)
		if got := lastsUntil("behind"); !got.Equal(first) {
			t.Errorf("no circuit is open, and the lease was renewed until %s", got)
		}
		calls := storeCalls
		open = []string{"kv", "other"}
		time.Sleep(5 * time.Hour)
		if left := time.Until(lastsUntil("behind")); left < 39*time.Minute || left > time.Hour {
			t.Errorf("%s are left of the lease", left)
		}
		if keys := issuers["beside"].Keys(); len(keys) > 0 {
			t.Errorf("the secret whose systems answer was renewed, too: that's for its own turns")
		}
		if storeCalls != calls {
			t.Errorf("the store was called %d times", storeCalls-calls)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Nothing new begins for a paused secret, but what its consumers have goes on.
func TestLeasesOfPausedSecretsAreKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rotator := &rotation.Rotator{Journal: memory.NewJournal(memory.Options{})}
		o := memory.SessionsOptions{Lifetime: 5 * rota.Day, RenewFor: time.Hour}
		issuer := memory.NewSessions(o)
		s := &rotation.Secret{Name: "paused", Systems: []string{"vault"}, Issuer: issuer, Policy: rotation.Policy{}.ForLifetime(o.Lifetime), Store: memory.NewStore(memory.Options{})}
		if _, err := rotator.Advance(t.Context(), s, rotation.Options{}); err != nil {
			t.Fatal(err)
		}
		var secrets engine.Secrets
		secrets.Replace([]*rotation.Secret{s}, nil)
		k := engine.NewKeepAlive(engine.KeepAliveOptions{Rotator: rotator, Secrets: &secrets, OpenCircuits: func() []string { return nil },
			Halted: func(context.Context) (func(string) bool, error) {
				return func(name string) bool { return name == "paused" }, nil
			}})
		for range 5 * 60 {
			time.Sleep(time.Minute)
			k.Check(t.Context())
		}
		keys := issuer.Keys()
		if len(keys) != 1 {
			t.Fatal("the lease has ended")
		}
		if left := time.Until(keys[0].ExpiresAt); left < 39*time.Minute || left > time.Hour {
			t.Errorf("%s are left of the lease", left)
		}
	})
}
