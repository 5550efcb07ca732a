package providertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// HTTPFixture is a client of an API.
type HTTPFixture struct {
	// System is what errors begin with: "grafana main".
	System string
	// Secret is what the client logs in with: no error may show it.
	Secret string
	// Authority is a part of the remedy for a certificate that isn't trusted. Defaults
	// to "tls_ca".
	Authority string
	// Call makes a client of the API at an address, with a connection called main, and
	// one call over it.
	Call func(ctx context.Context, url string) error
}

// HTTPErrors runs what goes wrong between Rota and an API: each error has to name the
// system, be of the right class, say what a person can do if that's anything, and
// show nothing secret.
func HTTPErrors(t *testing.T, f HTTPFixture) {
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
			fmt.Fprint(w, "<html>Page for developers. You sent ", r.Header, r.URL)
		}
	}
	page := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>Log in", r.Header) }
	for _, c := range []struct {
		name    string
		start   func(http.Handler) *httptest.Server
		handler http.HandlerFunc
		class   rota.Class
		remedy  string // a part of it; "" if it ends by itself
	}{
		{"the login is refused", nil, answer(http.StatusUnauthorized), rota.ClassStop, "connection main"},
		{"a permission is missing", nil, answer(http.StatusForbidden), rota.ClassStop, "connection main"},
		{"it's somewhere else", nil, answer(http.StatusNotFound), rota.ClassStop, "connection main"},
		{"it redirects", nil, answer(http.StatusFound), rota.ClassStop, "redirect"},
		{"there are too many requests", nil, answer(http.StatusTooManyRequests), rota.ClassWait, ""},
		{"it's down", nil, answer(http.StatusServiceUnavailable), rota.ClassWait, ""},
		{"a login page answers", nil, page, rota.ClassWait, "login page"},
		{"its certificate isn't trusted", httptest.NewTLSServer, page, rota.ClassStop, cmp.Or(f.Authority, "tls_ca")},
		{"it doesn't speak TLS", plaintext, page, rota.ClassStop, "TLS"},
		{"it can't be reached", unreachable, page, rota.ClassWait, "reaches 127.0.0.1"},
		{"it's slow", nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, rota.ClassWait, "reaches 127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := c.start
			if start == nil {
				start = httptest.NewServer
			}
			server := start(c.handler)
			t.Cleanup(server.Close)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.name == "it's slow" {
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			err := f.Call(ctx, server.URL)
			e, classified := errors.AsType[*rota.Error](err)
			remedies := fmt.Sprint(rota.RemediesOf(err))
			switch {
			case err == nil:
				t.Fatal("there's no error")
			case !classified || rota.ClassOf(err) != c.class:
				t.Errorf("class %s, want %s: %v", rota.ClassOf(err), c.class, err)
			case !strings.HasPrefix(err.Error(), f.System+": ") || e.Connection != "main":
				t.Errorf("it names %q, connection %q, want %s and main", err, e.Connection, f.System)
			case c.remedy != "" && !strings.Contains(remedies, c.remedy):
				t.Errorf("%v: the remedies %s lack %q", err, remedies, c.remedy)
			case strings.Contains(err.Error()+remedies, f.Secret):
				t.Errorf("%v, %s: it shows the login", err, remedies)
			case errors.Is(err, rota.ErrRefused):
				t.Errorf("%v: it blames the secret's own credential", err)
			case c.name == "it's slow" && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("%v isn't a deadline's", err)
			case c.name == "there are too many requests" && e.RetryAfter != 7*time.Second:
				t.Errorf("%v: it waits %s, want 7s", err, e.RetryAfter)
			}
		})
	}
}

// plaintext is a server whose address says that it speaks TLS.
func plaintext(h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	s.URL = strings.Replace(s.URL, "http://", "https://", 1)
	return s
}

// unreachable is a server that has gone.
func unreachable(h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	s.Close()
	return s
}
