package providertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

// TokenFixture is an issuer of tokens at a stand-in for its system.
type TokenFixture struct {
	// System is what errors begin with: "grafana main".
	System string
	// Serve starts the stand-in. The account that the issuer has is Account.
	Serve   func() *TokenServer
	Account string
	// Issuer makes an issuer over a connection called main that logs in with
	// [AdminToken], whose tokens are called orders.
	Issuer func(t *testing.T, url string) rota.Issuer
	// Requests are those of each operation, for [HTTPFaults.Inject].
	Requests map[string]string
	// Needs is a part of what a login lacks that may do nothing.
	Needs string
}

// TokenIssuer runs the suite for issuers ([Issuer]) and that of what goes wrong between
// Rota and an API ([HTTPErrors]), and checks what every issuer of tokens has to do.
func TokenIssuer(t *testing.T, f TokenFixture) {
	start := func(t *testing.T) (*TokenServer, rota.Issuer) {
		s := f.Serve()
		t.Cleanup(s.Close)
		return s, f.Issuer(t, s.URL)
	}
	made := func(t *testing.T, i rota.Issuer, version string) rota.Credential {
		t.Helper()
		c, err := i.Create(t.Context(), rota.CreateRequest{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	list := func(ctx context.Context, i rota.Issuer) ([]rota.Issued, error) { return i.(rota.Lister).List(ctx) }

	t.Run("the issuer conforms", func(t *testing.T) {
		Issuer(t, func(t *testing.T) IssuerFixture {
			s, i := start(t)
			return IssuerFixture{
				Issuer: i, Inject: s.Inject(f.Requests), UnknownID: "4711",
				Use: func(t *testing.T, c rota.Credential) {
					if err := i.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
						t.Fatal(err)
					}
				},
				Expire: func(*testing.T) { s.SetNow(func() time.Time { return time.Now().Add(4000 * rota.Day) }) },
			}
		})
	})
	t.Run("errors say what to do", func(t *testing.T) {
		HTTPErrors(t, HTTPFixture{System: f.System, Secret: AdminToken, Call: func(ctx context.Context, url string) error {
			_, err := list(ctx, f.Issuer(t, url))
			return err
		}})
	})
	t.Run("a login that may do nothing is told what it needs", func(t *testing.T) {
		s, i := start(t)
		s.Deny()
		_, listErr := list(t.Context(), i)
		_, createErr := i.Create(t.Context(), rota.CreateRequest{})
		for _, err := range []error{listErr, createErr} {
			if remedies := fmt.Sprint(rota.RemediesOf(err)); rota.ClassOf(err) != rota.ClassStop || !strings.Contains(remedies, f.Needs) {
				t.Errorf("%v: the remedies %s lack %q", err, remedies, f.Needs)
			}
		}
		if findings := i.(rota.Preflighter).Preflight(t.Context()); findings[0].OK {
			t.Errorf("a check says that all is well: %+v", findings)
		}
	})
	t.Run("tokens carry their version and expire", func(t *testing.T) {
		s, i := start(t)
		const version = "rota-0f8fad5b-d9cb-469f-a165-70867728950e"
		made(t, i, version)
		made(t, i, "a-person's own token") // as a rotation can be asked for with
		for _, x := range s.Tokens(f.Account) {
			if x.Expires.IsZero() {
				t.Errorf("token %s never expires", x.Name)
			}
		}
		all, err := list(t.Context(), i)
		if err != nil || len(all) != 2 || all[0].Mark != version || all[1].Mark != "" || all[0].ExpiresAt.IsZero() {
			t.Errorf("listed %+v, %v", all, err)
		}
		s.SetNow(func() time.Time { return time.Now().Add(4000 * rota.Day) })
		if all, err = list(t.Context(), i); err != nil || len(all) != 0 {
			t.Errorf("once their time is over, listed %+v, %v", all, err)
		}
	})
	t.Run("tokens of other names are left alone", func(t *testing.T) {
		s, i := start(t)
		other, _ := s.Make(f.Account, "orders-eu", "", time.Time{}, []byte(`{"name": "orders-eu"}`))
		if all, err := list(t.Context(), i); err != nil || len(all) != 0 {
			t.Errorf("listed %+v, %v", all, err)
		}
		err := i.Delete(t.Context(), rota.RetireRequest{CredentialID: other.ID})
		if rota.ClassOf(err) != rota.ClassStop || errors.Is(err, rota.ErrNotFound) || !s.Accepts(other.Value) {
			t.Errorf("deleting a token that's called otherwise: %v", err)
		}
	})
	t.Run("a token that's switched off and on is what it was", func(t *testing.T) {
		s, i := start(t)
		d, ok := i.(rota.Deactivator)
		if !ok {
			t.Log("does not apply")
			return
		}
		r := rota.RetireRequest{CredentialID: i.CredentialID(made(t, i, ""))}
		before := s.Tokens(f.Account)[0]
		if err := d.Deactivate(t.Context(), r); err != nil || s.Accepts(before.Value) {
			t.Fatalf("deactivated, it's still let in: %v", err)
		}
		if err := d.Reactivate(t.Context(), r); err != nil || !s.Accepts(before.Value) {
			t.Fatalf("reactivated, it isn't let in: %v", err)
		}
		// An API may take away what a change doesn't repeat: its permissions, its limits.
		if diff := cmp.Diff(before, s.Tokens(f.Account)[0]); diff != "" {
			t.Error(diff)
		}
	})
}
