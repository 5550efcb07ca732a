package providertest

import (
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota"
)

// renew extends a credential's life.
func (i *issuer) renew(ctx context.Context, c rota.Credential, until time.Time) (time.Time, error) {
	return i.Issuer.(rota.Renewer).Renew(ctx, rota.RenewRequest{CredentialID: i.Issuer.CredentialID(c), Until: until})
}

// renewed extends a credential's life as far as the issuer lets it.
func (i *issuer) renewed(t T, c rota.Credential) time.Time {
	t.Helper()
	until, err := i.renew(t.Context(), c, c.ExpiresAt())
	if i.seen(t, err) != nil {
		t.Fatalf("renew: %v", err)
	}
	if until.IsZero() {
		t.Fatal("a renewed credential has no end")
	}
	return until
}

// inTime is what clocks may differ by.
const inTime = 2 * time.Second

func testRenew(t T, i *issuer) {
	other := i.valid(t)
	c := i.valid(t)
	first := i.renewed(t, c)
	if meant := c.ExpiresAt(); first.After(meant.Add(inTime)) {
		t.Errorf("it lasts until %s, which is later than it's meant to: %s", first, meant)
	}
	if again := i.renewed(t, c); again.Before(first.Add(-inTime)) {
		t.Errorf("renewed again, it ends at %s, sooner than before: %s", again, first)
	}
	sooner := first.Add(-time.Minute)
	until, err := i.renew(t.Context(), c, sooner)
	if i.seen(t, err) != nil {
		t.Fatalf("renew: %v", err)
	}
	if until.After(sooner.Add(inTime)) {
		t.Errorf("it was to end at %s and ends at %s", sooner, until)
	}
	i.works(t, c)
	i.works(t, other)
}

func testRenewEnded(t T, i *issuer) {
	gone := func(what string, id string, until time.Time) {
		t.Helper()
		_, err := i.Issuer.(rota.Renewer).Renew(t.Context(), rota.RenewRequest{CredentialID: id, Until: until})
		if !errors.Is(i.seen(t, err), rota.ErrNotFound) {
			t.Errorf("renew %s: want %q, got %v", what, rota.ErrNotFound, err)
		}
	}
	c := i.valid(t)
	if i.UnknownID != "" {
		gone("what was never issued", i.UnknownID, c.ExpiresAt())
	}
	if !i.Issuer.Traits().Revocable {
		return
	}
	if err := i.seen(t, i.delete(t.Context(), i.Issuer.CredentialID(c))); err != nil {
		t.Fatalf("delete: %v", err)
	}
	gone("what was revoked", i.Issuer.CredentialID(c), c.ExpiresAt())
	i.refused(t, c)
}

func testRenewInTime(t T, i *issuer) {
	c := i.valid(t)
	for range 3 {
		i.Pass(goTest(t), i.RenewFor*2/3)
		i.renewed(t, c)
	}
	i.works(t, c)
	i.Pass(goTest(t), i.RenewFor+inTime)
	i.refused(t, c)
	if _, err := i.renew(t.Context(), c, c.ExpiresAt()); !errors.Is(i.seen(t, err), rota.ErrNotFound) {
		t.Errorf("renew what has ended: want %q, got %v", rota.ErrNotFound, err)
	}
	i.refused(t, c)
}
