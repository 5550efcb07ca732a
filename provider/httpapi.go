package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/rota-dev/rota"
)

// What systems with an API over HTTP have in common: their address, a client that
// gives nothing away, and what its errors mean.

const (
	// maxAnswer is the longest answer of an API that is read, in bytes.
	maxAnswer = 32 << 20
	// maxSaid is how much of a system's own message is kept, in bytes.
	maxSaid = 400
)

// ParseAddress reads the address of an API: a place and nothing else, over TLS unless
// it's on this machine. example is one, for the hint.
func ParseAddress(text, example string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, rota.WithRemedies(errors.New("not an address"), rota.Configure("", example))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, rota.WithRemedies(errors.New("holds more than a place"), rota.Configure("", "the address alone, with the login in keys of its own"))
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return nil, rota.WithRemedies(errors.New("without TLS anyone on the network path can read the token"), rota.Configure("", "https://"+u.Host+u.Path))
	}
	return u, nil
}

// ScopeOf is an address in one spelling, for a [Scoper]. "" if it isn't one.
func ScopeOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if Loopback(host) {
		host = "localhost" // whichever of its names
	}
	if port := u.Port(); port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	return host + strings.TrimSuffix(u.Path, "/")
}

// Loopback reports whether a host, given by its name or its address, is this machine.
func Loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.Unmap().IsLoopback()
}

// NewHTTPClient returns a client for an API. It follows no redirect, which would take
// the login along, cuts off answers that are too long, and takes what's secret in a
// request out of a refusal (see [Discreet]). If its reach is limited, it ignores proxies:
// they'd reach what it can't.
func NewHTTPClient(certificates Certificates, reach Reach, timeout time.Duration, secrets func(*http.Request, []byte) rota.Credential) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	var err error
	if transport.TLSClientConfig, err = certificates.TLS(); err != nil {
		return nil, err
	}
	if reach != nil {
		transport.DialContext, transport.Proxy = reach.Dialer(timeout).DialContext, nil
	}
	return &http.Client{
		Transport: Discreet{RoundTripper: Bounded{transport}, Secrets: secrets}, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Bounded cuts off answers that are too long to be an API's.
type Bounded struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b Bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Answer is an API's refusal in its own words.
type Answer struct {
	Status  int
	Message string // see [Said]
	Is      error  // the sentinel that callers know it by, if any
}

// Error implements error.
func (a *Answer) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))
	if a.Message != "" {
		text += ": " + a.Message
	}
	return text
}

// Unwrap returns the sentinel.
func (a *Answer) Unwrap() error { return a.Is }

// StatusOf is the status of the [Answer] that an error stands for, 0 if there was
// none.
func StatusOf(err error) int {
	if a, ok := errors.AsType[*Answer](err); ok {
		return a.Status
	}
	return 0
}

// Said is the beginning of a system's own message, on one line that's safe in a log.
// It ends between two words: half a value wouldn't be recognized as secret anymore.
func Said(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if len(text) > maxSaid {
		text = text[:strings.LastIndexByte(text[:maxSaid+1], ' ')+1] + rota.Omission
	}
	return text
}

// Unanswered sets the class, the remedies and the error of e for a request that got
// no answer. The system is called so by people, and host is where it was sent; key is
// what its address is called in rota.yaml.
func Unanswered(e *rota.Error, err error, system, host, key string) {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // without the address
	}
	connection := "connection " + e.Connection
	e.Class, e.Err = rota.ClassWait, fmt.Errorf("no answer: %w", err)
	e.Remedies = rota.Outside(fmt.Sprintf("check that this machine reaches %s: the network, the name service, a proxy, the %s of %s", host, key, connection))
	switch {
	case errors.Is(err, context.Canceled):
		e.Remedies = nil
	case TimedOut(err):
		e.Err = Opaque("no answer in time", err, nil)
	case Untrusted(err):
		e.Class, e.Remedies = rota.ClassStop, rota.Outside(fmt.Sprintf("set tls_ca on %s to the authority that signed %s's certificate, or correct the %s's host name", connection, system, key))
	case Plaintext(err):
		e.Class, e.Remedies = rota.ClassStop, rota.Outside(fmt.Sprintf("correct the %s of %s: what answers there doesn't speak TLS", key, connection))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Err = errors.New("no answer: the connection was closed")
	}
}
