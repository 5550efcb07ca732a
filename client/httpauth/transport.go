// Package httpauth sends a secret's current version with HTTP requests: as a bearer
// token, a header, or a user and password.
//
//	transport, err := httpauth.New("https://api.example.com", secrets.Secret("prod/parcels-api"), httpauth.Bearer("token"), httpauth.Options{})
//	…
//	parcels := &http.Client{Transport: transport}
//	response, err := parcels.Get("https://api.example.com/v1/parcels")
//
// The secret goes to that origin only: the same scheme, host and port. A request to
// any other, such as one that follows a redirect, is sent without it.
//
// If the server answers 401, the secret is refreshed, and the request is sent once more
// with the new version, or with the previous one if there is no new one. A request
// whose body can't be read again isn't repeated, but the next one has the new version.
package httpauth

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/rota-dev/rota/client"
)

// Scheme writes a version of a secret into a request's header. It returns an error if
// the secret doesn't have what it needs.
type Scheme func(http.Header, client.Value) error

// Bearer sends a field as a bearer token.
func Bearer(field string) Scheme { return prefixed("Authorization", "Bearer ", field) }

// Header sends a field as a header of its own, such as X-Api-Key.
func Header(name, field string) Scheme { return prefixed(name, "", field) }

func prefixed(name, prefix, field string) Scheme {
	return func(h http.Header, v client.Value) error {
		token, err := need(v, field)
		if err == nil {
			h.Set(name, prefix+token)
		}
		return err
	}
}

// Basic sends two fields as a user and password.
func Basic(username, password string) Scheme {
	return func(h http.Header, v client.Value) error {
		name, err := need(v, username)
		if err != nil {
			return err
		}
		word, err := need(v, password)
		if err != nil {
			return err
		}
		r := http.Request{Header: h}
		r.SetBasicAuth(name, word)
		return nil
	}
}

// need returns a field that can be sent in a header.
func need(v client.Value, field string) (string, error) {
	text := v.Field(field)
	if text == "" {
		return "", fmt.Errorf("it has no field %q: its fields are %q", field, v.Names())
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("its field %q has a line break, which no header can have", field)
	}
	return text, nil
}

// Options are what's optional.
type Options struct {
	// Base sends the requests. Defaults to [http.DefaultTransport].
	Base http.RoundTripper
	// Refused reports whether the server refused the token. Defaults to the status 401.
	Refused func(*http.Response) bool
}

// New returns a transport that sends the secret to one origin, such as
// "https://api.example.com".
func New(origin string, s *client.Secret, scheme Scheme, o Options) (http.RoundTripper, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, errors.New("httpauth: the origin isn't a URL") // the error quotes it, and it may hold a password
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New(`httpauth: the origin has a scheme, a host and perhaps a port, such as "https://api.example.com", and nothing else`)
	}
	if scheme == nil {
		return nil, errors.New("httpauth: no scheme, such as Bearer")
	}
	if o.Base == nil {
		o.Base = http.DefaultTransport
	}
	if o.Refused == nil {
		o.Refused = func(r *http.Response) bool { return r.StatusCode == http.StatusUnauthorized }
	}
	return &transport{origin: originOf(u), secret: s, scheme: scheme, o: o}, nil
}

type transport struct {
	origin string
	secret *client.Secret
	scheme Scheme
	o      Options
}

// originOf is where a URL leads, with its port.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if originOf(r.URL) != t.origin {
		return t.o.Base.RoundTrip(r)
	}
	v, err := t.secret.Get(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	first, err := t.send(r, v, r.Body)
	if err != nil || !t.o.Refused(first) {
		return first, err
	}
	other := t.secret.Other(r.Context(), v)
	if other.IsZero() {
		return first, nil
	}
	body, ok := again(r)
	if !ok {
		return first, nil
	}
	discard(first)
	return t.send(r, other, body)
}

// send sends a copy of the request: a transport may not change the one it's given.
func (t *transport) send(r *http.Request, v client.Value, body io.ReadCloser) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body = body
	if err := t.scheme(r.Header, v); err != nil {
		closeBody(r)
		return nil, fmt.Errorf("secret %q: %w", t.secret.Name(), err)
	}
	return t.o.Base.RoundTrip(r)
}

// again returns the request's body from its beginning, if that's possible.
func again(r *http.Request) (io.ReadCloser, bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r.Body, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// most is how much of a refused answer is read so that its connection can be used
// again.
const most = 64 << 10

func discard(r *http.Response) {
	_, _ = io.CopyN(io.Discard, r.Body, most)
	_ = r.Body.Close()
}

// CloseIdleConnections closes those of the transport below, for
// [http.Client.CloseIdleConnections].
func (t *transport) CloseIdleConnections() {
	if c, ok := t.o.Base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
