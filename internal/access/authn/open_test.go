package authn_test

import (
	"fmt"
	"testing"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
)

func TestOpenRequestsAreLimited(t *testing.T) {
	t.Parallel()
	shared := &authn.OpenRequests{}
	limit := func(o *authn.Options) { o.Limits.Open, o.Open = authn.OpenLimits{Principal: 2, Address: 3}, shared }
	w, reloaded := newWorld(t, limit), newWorld(t, limit)
	caller := func(principal, from string) access.Caller { return access.Caller{Principal: principal, From: from} }
	hold := func(a *authn.Authenticator, c access.Caller) func() {
		t.Helper()
		release, err := a.Hold(c)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		return release
	}
	refused := func(a *authn.Authenticator, c access.Caller) {
		t.Helper()
		_, err := a.Hold(c)
		limited(t, err)
	}
	release := hold(w.Authenticator, caller("ann", "192.0.2.1"))
	hold(w.Authenticator, caller("ann", "192.0.2.2"))
	refused(w.Authenticator, caller("ann", "192.0.2.3"))
	refused(reloaded.Authenticator, caller("ann", "192.0.2.3"))
	hold(reloaded.Authenticator, caller("bob", "192.0.2.1"))
	hold(reloaded.Authenticator, caller("carol", "192.0.2.1"))
	refused(w.Authenticator, caller("dave", "192.0.2.1"))
	hold(w.Authenticator, caller("dave", "192.0.2.4"))
	release()
	hold(w.Authenticator, caller("dave", "192.0.2.1"))

	for n := range 3 {
		hold(w.Authenticator, caller(fmt.Sprintf("p%d", n), fmt.Sprintf("2001:db8::%d", n)))
		hold(w.Authenticator, caller(fmt.Sprintf("q%d", n), "")) // without an address, as over a socket
	}
	refused(w.Authenticator, caller("p3", "2001:db8::3")) // the same network
	hold(w.Authenticator, caller("p3", "2001:db8:0:1::3"))
	refused(w.Authenticator, caller("q3", ""))
}

func TestDefaultLimitsOfOpenRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for n := range 1000 {
		if _, err := w.Hold(access.Caller{Principal: fmt.Sprint(n / 500), From: "192.0.2.1"}); err != nil {
			t.Fatalf("open request %d: %v", n+1, err)
		}
	}
	for _, c := range []access.Caller{{Principal: "0", From: "192.0.2.2"}, {Principal: "2", From: "192.0.2.1"}} {
		_, err := w.Hold(c)
		limited(t, err)
	}
}
