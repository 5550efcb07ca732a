package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config is an API and how Rota logs in to it.
type Config struct {
	// URL is where all paths begin, such as https://api.example.com/v3.
	URL string
	// Headers are sent with each request that isn't a test of a new credential.
	// They hold Rota's own login, so their values are never in an error.
	Headers map[string]string
	// AllowPrivate allows addresses of private networks and of this machine, and
	// requests without TLS.
	AllowPrivate bool
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Timeout limits one request. Defaults to 30 s.
	Timeout time.Duration
	// Reach decides which addresses may be reached, instead of AllowPrivate; nil for
	// what that says.
	Reach provider.Reach
}

const (
	defaultTimeout = 30 * time.Second
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 4 << 20
)

// Connection is an API. It's safe for concurrent use.
type Connection struct {
	name   string
	cfg    Config
	base   *url.URL
	client *http.Client
}

// New checks the settings and reads the certificates they name, without touching
// the network.
func New(name string, cfg Config) (*Connection, error) {
	c := &Connection{name: name, cfg: cfg}
	var err error
	if c.base, err = base(cfg.URL, cfg.AllowPrivate); err != nil {
		return nil, fmt.Errorf("%s: url: %w", c.system(), err)
	}
	for header, value := range cfg.Headers {
		if !goodHeader(header, value) {
			return nil, fmt.Errorf("%s: header %q or its value can't be sent", c.system(), header)
		}
	}
	if cfg.Timeout == 0 {
		c.cfg.Timeout = defaultTimeout
	}
	trust, err := cfg.Certificates.TLS()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	dialer := cfg.Reach.Dialer(c.cfg.Timeout)
	if cfg.Reach == nil && !cfg.AllowPrivate {
		dialer.ControlContext = provider.PublicOnly
	}
	c.client = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: trust, TLSHandshakeTimeout: c.cfg.Timeout,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
		Timeout: c.cfg.Timeout,
		// A redirect would take the credential along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// base reads a URL that holds nothing but a place.
func base(text string, plain bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, rota.WithRemedies(errors.New("is not an address"), rota.Configure("", "https://api.example.com"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, rota.WithRemedies(errors.New("holds more than a place"), rota.Configure("", "the address alone, with a login in headers"))
	case u.Scheme == "http" && !plain:
		return nil, rota.WithRemedies(errors.New("without TLS anyone on the network path can read credentials"), rota.Configure("", "https, or allow_private: true inside of a network of your own"))
	}
	return u, nil
}

// goodHeader reports whether a header can be sent as it stands.
func goodHeader(name, value string) bool {
	token := func(r rune) bool {
		return r > ' ' && r < 127 && !strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !token(r) }) &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 127 })
}

// Close ends idle connections.
func (c *Connection) Close() { c.client.CloseIdleConnections() }

func (c *Connection) system() string { return "http " + c.name }

// Request is a request that rota.yaml describes.
type Request struct {
	Method string
	// Path begins with / and goes behind the connection's URL. It may name what
	// isn't secret, such as {id}.
	Path string
	// Headers and Body may name a credential's fields, too. Body is JSON, or "".
	Headers map[string]string
	Body    string
}

// call is one request that's sent.
type call struct {
	op      string
	request Request
	public  map[string]string // for the path
	values  map[string]string // for headers and body
	secrets rota.Credential   // what no error may show
	own     bool              // log in as the connection does
}

// send sends a request and returns its answer's JSON, nil if it has none, and the
// address of the next page.
func (c *Connection) send(ctx context.Context, k call) (answer any, next string, err error) {
	r, err := c.build(ctx, k)
	if err != nil {
		return nil, "", &rota.Error{System: c.system(), Connection: c.name, Op: k.op, Class: rota.ClassStop, Err: c.clean(err, k.secrets)}
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, "", c.unreached(ctx, k, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, "", c.unreached(ctx, k, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, "", c.refused(k, resp, text)
	}
	if len(text) > maxAnswer {
		return nil, "", c.odd(k, fmt.Sprintf("its answer is larger than %d MiB", maxAnswer>>20))
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, "", nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, "", nil // whoever needs something of it says that it's missing
	}
	return answer, linkNext(resp.Header), nil
}

func (c *Connection) build(ctx context.Context, k call) (*http.Request, error) {
	path, err := expand(k.request.Path, k.public, segment)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	var body []byte
	if k.request.Body != "" {
		d, err := parseDocument(k.request.Body)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		if body, err = d.render(k.values); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	address := *c.base
	to, err := url.Parse(strings.TrimSuffix(address.String(), "/") + path)
	if err != nil || to.Host != c.base.Host || to.Scheme != c.base.Scheme || to.User != nil {
		return nil, errors.New("path: it leads to another server")
	}
	r, err := http.NewRequestWithContext(ctx, k.request.Method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is wrong")
	}
	if body == nil {
		r.Body, r.ContentLength = nil, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "rota")
	if k.own {
		for name, value := range c.cfg.Headers {
			r.Header.Set(name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.request.Headers)) {
		value, err := expand(k.request.Headers[name], k.values, nil)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		if !goodHeader(name, value) {
			return nil, fmt.Errorf("header %s: its value can't be sent", name)
		}
		r.Header.Set(name, value)
	}
	// A resent request is a second request: net/http resends only what this says is safe.
	r.GetBody = nil
	return r, nil
}

// linkNext is the address of the next page in a Link header, RFC 8288.
func linkNext(h http.Header) string {
	for _, line := range h.Values("Link") {
		for link := range strings.SplitSeq(line, ",") {
			address, params, _ := strings.Cut(link, ";")
			if strings.Contains(params, `rel="next"`) || strings.Contains(params, "rel=next") {
				return strings.Trim(strings.TrimSpace(address), "<>")
			}
		}
	}
	return ""
}
