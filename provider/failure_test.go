package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// get makes a request and returns its error.
func get(t *testing.T, c Certificates, url string, timeout time.Duration) error {
	t.Helper()
	trust, err := c.TLS()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: trust}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: timeout}).Get(url)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

func TestFailuresAreToldApart(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	defer close(hang)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	for _, test := range []struct {
		name                           string
		err                            error
		untrusted, plaintext, timedOut bool
	}{
		{"an unknown authority", get(t, Certificates{}, secure.URL, time.Minute), true, false, false},
		{"a server without TLS", get(t, Certificates{}, strings.Replace(plain.URL, "http:", "https:", 1), time.Minute), false, true, false},
		{"a server that hangs", get(t, Certificates{}, slow.URL, 20*time.Millisecond), false, false, true},
		{"a context that ended", fmt.Errorf("so: %w", context.DeadlineExceeded), false, false, true},
		{"a context that was canceled", context.Canceled, false, false, false},
		{"any other", errors.New("no"), false, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if Untrusted(test.err) != test.untrusted || Plaintext(test.err) != test.plaintext || TimedOut(test.err) != test.timedOut {
				t.Errorf("%v: untrusted %v, plaintext %v, timed out %v", test.err, Untrusted(test.err), Plaintext(test.err), TimedOut(test.err))
			}
		})
	}
}

type leaky struct{ password string }

func (leaky) Error() string { return "refused" }

func TestAnOpaqueErrorGivesNothingAway(t *testing.T) {
	sentinel := errors.New("not found")
	for _, test := range []struct {
		name          string
		err, sentinel error
		text          string
		is            error
	}{
		{"any", leaky{"hunter2"}, nil, "text", nil},
		{"a sentinel", leaky{"hunter2"}, sentinel, "not found: text", sentinel},
		{"given up", fmt.Errorf("%w %w", leaky{"hunter2"}, context.DeadlineExceeded), nil, "text", context.DeadlineExceeded},
		{"canceled", fmt.Errorf("%w %w", leaky{"hunter2"}, context.Canceled), nil, "text", context.Canceled},
		{"a timeout of the network", fmt.Errorf("%w %w", leaky{"hunter2"}, os.ErrDeadlineExceeded), nil, "text", context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Opaque("text", test.err, test.sentinel)
			if err.Error() != test.text {
				t.Errorf("says %q, want %q", err, test.text)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("isn't %v", test.is)
			}
			if _, ok := errors.AsType[leaky](err); ok {
				t.Error("leads to the error beneath")
			}
		})
	}
}

func TestCertificatesThatCantBeUsedAreNamed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		files Certificates
		want  string
	}{
		{"no file", Certificates{CA: empty + "x"}, "tls_ca: open "},
		{"no certificate", Certificates{CA: empty, Prefix: "ssl_"}, "ssl_ca: " + empty + " holds no certificate"},
		{"no key", Certificates{Cert: empty}, "tls_cert and tls_key must be set together"},
		{"no pair", Certificates{Cert: empty, Key: empty}, "tls_cert, tls_key: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.files.TLS(); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("says %v, want %s", err, test.want)
			}
		})
	}
}
