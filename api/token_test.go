package api_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"
)

func TestATokenThatIsReplacedIsPickedUp(t *testing.T) {
	t.Setenv("TEST_ROTA_TOKEN", "first")
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TEST_ROTA_TOKEN", token)
	}
	for name, source := range map[string]api.TokenSource{"file": api.TokenFromFile(file), "environment": api.TokenFromEnv("TEST_ROTA_TOKEN")} {
		var got []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, r.Header.Get("Authorization"))
			fmt.Fprint(w, "{}")
		}))
		c, err := api.New(api.Options{URL: server.URL, Token: source})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"first", "second"} {
			write(token)
			if _, err := c.Verify(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		server.Close()
		if diff := cmp.Diff([]string{"Bearer first", "Bearer second"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]api.TokenSource{
		"a file that is not there": api.TokenFromFile(empty + ".gone"),
		"an empty file":            api.TokenFromFile(empty),
		"an unset variable":        api.TokenFromEnv("TEST_ROTA_NO_SUCH_VARIABLE"),
	} {
		c, err := api.New(api.Options{URL: server.URL, Token: source})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := c.Follow(t.Context(), "", 0, nil); err == nil {
			t.Errorf("%s: Follow waits for a token", name)
		}
	}
	if asked != 0 {
		t.Errorf("%d requests were sent", asked)
	}
	if _, err := api.New(api.Options{URL: server.URL}); err == nil {
		t.Error("neither a token nor a certificate, and no error")
	}
}

// A client certificate stands in for a token, and CA replaces the system's
// authorities.
func TestAClientCertificateSaysWhoAsks(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 || r.Header.Get("Authorization") != "" {
			t.Errorf("%d certificates, Authorization %q", len(r.TLS.PeerCertificates), r.Header.Get("Authorization"))
		}
		fmt.Fprint(w, "{}")
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c, err := api.New(api.Options{URL: server.URL, CA: authority, TLS: &tls.Config{Certificates: server.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := api.New(api.Options{URL: server.URL, Token: api.StaticToken("x"), CA: []byte("none")}); err == nil || !strings.Contains(hint.Text(err), "PEM") {
		t.Errorf("an authority that is none: %v", err)
	}
	c, err = api.New(api.Options{URL: server.URL, Token: api.StaticToken("x")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(t.Context()); err == nil {
		t.Error("an unknown authority was taken")
	} else if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("%v", err)
	}
}
