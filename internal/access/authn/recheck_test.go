package authn_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
)

// TestOpenRequestsAreRechecked ends what proved a caller, in every way. A
// signature that is too old by now ends nothing.
func TestOpenRequestsAreRechecked(t *testing.T) {
	t.Parallel()
	token := func(t *testing.T, w *world) *http.Request { return request("Bearer " + w.key.Token()) }
	signature := func(t *testing.T, w *world) *http.Request { return w.signed(t, w.key.Key.ID, w.key.Secret.Reveal()) }
	idToken := func(t *testing.T, w *world) *http.Request { return request("Bearer " + w.idToken(t, "job-7")) }
	byCertificate := func(*testing.T, *world) *http.Request {
		cert := &x509.Certificate{NotBefore: start, NotAfter: start.Add(2 * time.Hour), DNSNames: []string{"a.internal"}}
		r := request("")
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		return r
	}
	nothing := func(*testing.T, *world) error { return nil }
	for _, c := range []struct {
		name    string
		request func(*testing.T, *world) *http.Request
		change  func(*testing.T, *world) error
		later   time.Duration
		ends    bool
	}{
		{"nothing happened to a token", token, nothing, time.Minute, false},
		{"nothing happened to a signature's key", signature, nothing, 50 * time.Minute, false},
		{"nothing happened to an ID token", idToken, nothing, time.Hour, false},
		{"nothing happened to a certificate", byCertificate, nothing, time.Hour, false},
		{"a token's key is disabled", token, func(t *testing.T, w *world) error { return w.admin.DisableKey(t.Context(), root, w.key.Key.ID) }, 0, true},
		{"a signature's key is disabled", signature, func(t *testing.T, w *world) error { return w.admin.DisableKey(t.Context(), root, w.key.Key.ID) }, 0, true},
		{"a token's key is deleted", token, func(t *testing.T, w *world) error { return w.admin.DeleteKey(t.Context(), root, w.key.Key.ID) }, 0, true},
		{"a signature's key is deleted", signature, func(t *testing.T, w *world) error { return w.admin.DeleteKey(t.Context(), root, w.key.Key.ID) }, 0, true},
		{"a token's principal is disabled", token, func(t *testing.T, w *world) error { return w.admin.Disable(t.Context(), root, "app/orders") }, 0, true},
		{"a signature's principal is deleted", signature, func(t *testing.T, w *world) error { return w.admin.Delete(t.Context(), root, "app/orders") }, 0, true},
		{"a token's key expires", token, nothing, 61 * time.Minute, true},
		{"a signature's key expires", signature, nothing, 61 * time.Minute, true},
		{"an ID token expires", idToken, nothing, 11 * time.Hour, true},
		{"a certificate expires", byCertificate, nothing, 3 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *authn.Options) {
				o.Certs = []authn.CertBinding{{DNS: "*.internal", Rules: root.Rules}}
			})
			r := c.request(t, w)
			before, err := w.Authenticate(r, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.change(t, w); err != nil {
				t.Fatal(err)
			}
			w.later(c.later)
			now, err := w.Recheck(r, before)
			switch {
			case c.ends && !errors.Is(err, access.ErrUnauthenticated):
				t.Errorf("it's still from %+v, %v", now, err)
			case !c.ends && (err != nil || now.Principal != before.Principal || now.From != before.From || now.Method != before.Method || !slices.Equal(now.Rules, before.Rules)):
				t.Errorf("it's from %+v, %v; want %+v", now, err, before)
			}
		})
	}
}

func TestARecheckSeesChangedRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := w.signed(t, w.key.Key.ID, w.key.Secret.Reveal())
	accepted, err := w.Authenticate(r, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.admin.Revoke(t.Context(), root, "app/orders", access.Rule{Action: access.Read, Pattern: "shop/*"}); err != nil {
		t.Fatal(err)
	}
	if c, err := w.Recheck(r, accepted); err != nil || len(c.Rules) != 0 {
		t.Errorf("the rules are %v, %v", c.Rules, err)
	}
}

// TestTheVerifiedKeyIsRechecked has the header name another key by the time of
// the recheck, as one that two parsers understand differently would.
func TestTheVerifiedKeyIsRechecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	other, err := w.admin.CreateKey(t.Context(), root, "admin", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*http.Request{
		"a signature": w.signed(t, w.key.Key.ID, w.key.Secret.Reveal()),
		"a token":     request("Bearer " + w.key.Token()),
	} {
		accepted, err := w.Authenticate(r, []byte(body))
		if err != nil || accepted.Key != w.key.Key.ID {
			t.Fatalf("%s: %+v, %v", name, accepted, err)
		}
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+other.Key.ID+"/20260301/eu-central-1/secretsmanager/aws4_request")
		if now, err := w.Recheck(r, accepted); err != nil || now.Principal != "app/orders" {
			t.Errorf("%s is from %+v, %v by now", name, now, err)
		}
	}
}
