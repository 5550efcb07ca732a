package tlscert_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/internal/certs"
	"github.com/rota-dev/rota/client/tlscert"
	"github.com/rota-dev/rota/internal/testenv"
)

const name = "prod/orders-tls"

func secret(t *testing.T, source client.Source) *client.Secret {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := c.Secret(name)
	if _, err := s.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// server answers with the name of the client's certificate, on a connection for each
// request.
func server(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	// Not StartTLS, which adds a certificate of its own.
	s.Listener = tls.NewListener(s.Listener, config)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	s.URL = strings.Replace(s.URL, "http:", "https:", 1)
	t.Cleanup(s.Close)
	return s
}

// ask makes a request on a connection of its own, and returns whom each side took the
// other for.
func ask(t *testing.T, url string, transport *http.Transport) (server, client string, err error) {
	t.Helper()
	transport.DisableKeepAlives = true
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.TLS.PeerCertificates[0].Subject.CommonName, string(body), err
}

// Both sides follow certificates that change, and so do the authorities that they trust.
func TestBothSidesFollowTheirCertificates(t *testing.T) {
	sources := map[string]*clienttest.Source{"server": clienttest.NewSource(), "client": clienttest.NewSource()}
	rotate := func(round string) {
		authority := certs.New(t, "authority "+round)
		for side, source := range sources {
			source.Set(name, authority.Issue(t, side+" "+round))
		}
	}
	rotate("1")
	at, of := secret(t, sources["server"]), secret(t, sources["client"])
	s := server(t, tlscert.New(at, tlscert.Options{}).Server(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert}))
	transport := &http.Transport{DialTLSContext: tlscert.New(of, tlscert.Options{}).Dial(nil)}
	for _, round := range []string{"1", "2", "3"} {
		if round != "1" {
			rotate(round)
			testenv.Eventually(t, "both have it", func() bool { return at.Status().Version == "v"+round && of.Status().Version == "v"+round })
		}
		server, client, err := ask(t, s.URL, transport)
		if err != nil || server != "server "+round || client != "client "+round {
			t.Errorf("round %s: %q and %q, %v", round, server, client, err)
		}
	}
	// A client of an authority before is let in no longer.
	sources["client"].RollBack(name)
	testenv.Eventually(t, "the client has the old one", func() bool { return of.Status().Version == "v2" })
	if _, _, err := ask(t, s.URL, transport); err == nil {
		t.Error("the authority before is still trusted")
	}
}

func TestTheGettersOfTLSConfig(t *testing.T) {
	source := clienttest.NewSource()
	authority := certs.New(t, "authority")
	source.Set(name, authority.Issue(t, "one"))
	s := secret(t, source)
	c := tlscert.New(s, tlscert.Options{})
	roots, err := c.Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := server(t, &tls.Config{GetCertificate: c.GetCertificate, ClientAuth: tls.RequireAnyClientCert})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, GetClientCertificate: c.GetClientCertificate}}
	for i, want := range []string{"one", "two"} {
		if i > 0 {
			source.Set(name, authority.Issue(t, want))
			testenv.Eventually(t, "it arrives", func() bool { return s.Status().Version == "v2" })
		}
		if server, client, err := ask(t, at.URL, transport); err != nil || server != want || client != want {
			t.Errorf("%q and %q, %v", server, client, err)
		}
	}
}

func TestAVersionThatCannotBeUsedIsSkipped(t *testing.T) {
	authority := certs.New(t, "authority")
	good, other := authority.Issue(t, "one"), authority.Issue(t, "two")
	without := func(field, value string) map[string]string {
		changed := map[string]string{}
		for name, text := range good {
			changed[name] = text
		}
		changed[field] = value
		return changed
	}
	source := clienttest.NewSource()
	source.Set(name, good)
	s := secret(t, source)
	c := tlscert.New(s, tlscert.Options{})
	at := server(t, c.Server(nil))
	transport := &http.Transport{DialTLSContext: c.Dial(nil)}
	if server, _, err := ask(t, at.URL, transport); err != nil || server != "one" {
		t.Fatalf("%q, %v", server, err)
	}
	for want, fields := range map[string]map[string]string{
		"private key does not match": without("tls.key", other["tls.key"]),
		`no field "tls.crt"`:         without("tls.crt", ""),
		`"ca.crt" has no certif`:     without("ca.crt", "nothing"),
	} {
		version := s.Status().Version
		source.Set(name, fields)
		testenv.Eventually(t, "it arrives", func() bool { return s.Status().Version != version })
		if server, _, err := ask(t, at.URL, transport); err != nil || server != "one" {
			t.Errorf("%s: %q, %v", want, server, err)
		}
		if err := c.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		first := tlscert.New(s, tlscert.Options{})
		if _, err := first.Roots(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, as the first version: %v", want, err)
		}
	}
	version := s.Status().Version
	source.Set(name, other)
	testenv.Eventually(t, "it arrives", func() bool { return s.Status().Version != version })
	if server, _, err := ask(t, at.URL, transport); err != nil || server != "two" || c.Err() != nil {
		t.Errorf("%q, %v, %v", server, err, c.Err())
	}
}

// Without authorities of its own, a server can't check certificates, and accepts none.
func TestAServerWithoutAuthorities(t *testing.T) {
	fields := certs.New(t, "authority").Issue(t, "one")
	authority := fields["ca.crt"]
	delete(fields, "ca.crt")
	s := secret(t, client.Static{name: client.NewValue("v1", fields)})
	at := server(t, tlscert.New(s, tlscert.Options{}).Server(&tls.Config{ClientAuth: tls.VerifyClientCertIfGiven}))
	fields["ca.crt"] = authority
	of := secret(t, client.Static{name: client.NewValue("v1", fields)})
	if _, _, err := ask(t, at.URL, &http.Transport{DialTLSContext: tlscert.New(of, tlscert.Options{}).Dial(nil)}); err == nil {
		t.Error("a certificate was accepted that nobody could check")
	}
}
