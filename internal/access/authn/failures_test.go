package authn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
	"github.com/rota-dev/rota/rotation"
)

// recorder is an in-memory audit for one goroutine.
type recorder struct{ entries []rotation.Entry }

func (r *recorder) Record(_ context.Context, entries ...rotation.Entry) error {
	r.entries = append(r.entries, entries...)
	return nil
}

// audited is a world with an audit, in which failures don't lock anyone out.
func audited(t *testing.T) (*world, *recorder) {
	t.Helper()
	audit := &recorder{}
	return newWorld(t, func(o *authn.Options) {
		o.Audit = audit
		o.Limits.Failures = authn.Rate{PerSecond: 1e6, Burst: 1e6}
		o.Certs = []authn.CertBinding{{DNS: "*.shop.internal", Rules: root.Rules}}
	}), audit
}

func (w *world) refused(t *testing.T, r *http.Request) {
	t.Helper()
	if _, err := w.Authenticate(r, []byte(body)); !errors.Is(err, access.ErrUnauthenticated) {
		t.Fatalf("%v, want ErrUnauthenticated", err)
	}
}

func TestAFailedAuthenticationIsAudited(t *testing.T) {
	t.Parallel()
	w, audit := audited(t)
	id, secret := w.key.Key.ID, w.key.Secret.Reveal()
	wrong := strings.Repeat("A", 40)
	stranger := request("")
	stranger.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{
		Subject: pkix.Name{CommonName: "till-7"}, NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour),
	}}}}
	otherAudience := w.provider.Sign(t, map[string]any{"aud": "another", "sub": "job-7", "exp": start.Add(time.Hour).Unix()})
	for n, c := range []struct {
		name    string
		request *http.Request
		actor   string
		detail  string
	}{
		{"nothing shown", request(""), "unknown", "neither an Authorization"},
		{"a wrong secret", request("Bearer rota_" + id + "_" + wrong), id, "or a different secret"},
		{"a token cut off", request("Bearer " + w.key.Token()[:60]), "unknown", "truncated"},
		{"a token of another audience", request("Bearer " + otherAudience), "unknown", "aud"},
		{"a signature of a wrong secret", w.signed(t, id, wrong), id, "signature"},
		{"a secret in the place of the id", w.signed(t, secret, secret), "unknown", "signature"},
		{"a certificate without a binding", stranger, "mtls:till-7", "CN=till-7"},
	} {
		from := fmt.Sprintf("192.0.2.%d", n+1)
		c.request.RemoteAddr = from + ":4711"
		audit.entries = nil
		w.refused(t, c.request)
		want := []rotation.Entry{{At: start, Actor: c.actor, From: from, Step: "authenticate", Object: "POST /", Outcome: rotation.OutcomeDenied}}
		for i, e := range audit.entries {
			if !strings.Contains(e.Detail, c.detail) || strings.Contains(e.Detail, secret) || strings.Contains(e.Detail, wrong) {
				t.Errorf("%s: the detail is %q, want %q in it and no secret", c.name, e.Detail, c.detail)
			}
			audit.entries[i].Detail = ""
		}
		if diff := cmp.Diff(want, audit.entries); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestASuccessfulAuthenticationIsNotAuditedAsAFailure(t *testing.T) {
	t.Parallel()
	w, audit := audited(t)
	if _, err := w.Authenticate(request("Bearer "+w.key.Token()), nil); err != nil || len(audit.entries) != 0 {
		t.Errorf("%v, %+v", err, audit.entries)
	}
}

func TestAFloodOfFailuresDoesNotFillTheAudit(t *testing.T) {
	t.Parallel()
	t.Run("of one claimant", func(t *testing.T) {
		t.Parallel()
		w, audit := audited(t)
		for range 50 {
			w.refused(t, request("Bearer rota_wrong"))
		}
		w.later(59 * time.Second)
		w.refused(t, request("Bearer rota_wrong"))
		if logged := strings.Count(w.log.String(), "authentication failed"); len(audit.entries) != 1 || logged != 1 {
			t.Fatalf("%d entries and %d lines in the log within a minute, want 1", len(audit.entries), logged)
		}
		w.refused(t, request("Bearer rota_"+w.key.Key.ID+"_"+strings.Repeat("A", 40)))
		if len(audit.entries) != 2 || audit.entries[1].Actor != w.key.Key.ID {
			t.Errorf("a claim to be another is none of those: %+v", audit.entries[1:])
		}
		w.later(time.Minute)
		w.refused(t, request("Bearer rota_wrong"))
		if len(audit.entries) != 3 || !strings.HasSuffix(audit.entries[2].Detail, "; 50 more since the previous entry were suppressed") {
			t.Errorf("a minute later: %+v", audit.entries[2:])
		}
	})
	t.Run("of many", func(t *testing.T) {
		t.Parallel()
		w, audit := audited(t)
		for n := range 1000 {
			r := request("Bearer rota_wrong")
			r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", n/250, n%250)
			w.refused(t, r)
		}
		if n := len(audit.entries); n != 100 {
			t.Errorf("%d entries at once, want 100", n)
		}
		w.later(6 * time.Second)
		w.refused(t, request("Bearer rota_wrong"))
		if n := strings.Count(w.log.String(), "authentication failed"); n != 101 {
			t.Errorf("%d lines in the log, want 101", n)
		}
		if n := len(audit.entries); n != 101 || !strings.HasSuffix(audit.entries[100].Detail, "; 900 from all addresses were suppressed") {
			t.Errorf("later there are %d: %+v", n, audit.entries[100:])
		}
	})
}
