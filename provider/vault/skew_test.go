package vault_test

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
)

// When a secret id was made and used, and whether it's over, doesn't depend on what
// Vault's clock shows.
func TestDatesAreByRotasClock(t *testing.T) {
	for _, skew := range []time.Duration{-5 * time.Hour, 0, 5 * time.Hour} {
		server, b := start(t)
		server.SetNow(func() time.Time { return time.Now().Add(skew) })
		server.AddRole("approle", "orders")
		connection, _ := b.Connect(t, vault.Token(b.Token))
		s := &vault.SecretIDs{Connection: connection, Mount: "approle", Role: "orders", TTL: 2 * time.Hour, NumUses: 1000}
		c, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		if err != nil {
			t.Fatal(err)
		}
		near := func(at time.Time, want time.Duration) bool { return (time.Until(at) - want).Abs() < 5*time.Second }
		list, err := s.List(t.Context())
		if err != nil || len(list) != 1 || !near(list[0].CreatedAt, 0) || !near(list[0].ExpiresAt, 2*time.Hour) {
			t.Errorf("%s: %+v (%v)", skew, list, err)
		}
		time.Sleep(10 * time.Millisecond) // or it seems not to be used since it was made
		if err := s.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
			t.Fatal(err)
		}
		if use, err := s.LastUsed(t.Context(), s.CredentialID(c)); err != nil || !near(use.At, 0) {
			t.Errorf("%s: %+v (%v)", skew, use, err)
		}
	}
}

// Vault rotates a password by itself, and its clock is behind Rota's: that's not a
// password that Vault went back to.
func TestAPasswordThatsNewIsTakenOverWhateverVaultsClockShows(t *testing.T) {
	server, b := start(t)
	server.SetNow(func() time.Time { return time.Now().Add(-5 * time.Hour) })
	server.AddStaticRole("database", "orders", "orders_app")
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	s := &vault.StaticRole{Connection: connection, Mount: "database", Role: "orders"}
	current := rota.NewCredential(map[string]string{rota.FieldUsername: "orders_app", rota.FieldPassword: "from-before-canary"})
	next, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-2", Current: current, CurrentSince: time.Now().Add(-time.Hour)})
	if err != nil || proxy.Writes() != 0 || next.Field(rota.FieldPassword) != server.StaticPassword("database", "orders") {
		t.Errorf("%d writes, %v", proxy.Writes(), err)
	}
}
