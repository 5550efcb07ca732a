// Package remote asks a running Rota for what [service.Operations] can do, over
// its REST API. What the server refuses comes back as the same errors that the
// operations give on its machine.
package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/service"
)

// Options say which server to ask, and as whom.
type Options struct {
	// URL is the server's, such as https://rota.example.com. Only this machine
	// may be asked without TLS.
	URL string
	// Token proves who asks: a key of Rota's, or an id token.
	Token string
	// CA, if any, are the authorities that the server's certificate is checked
	// with, as PEM. Defaults to the system's.
	CA []byte
	// UserAgent is how the client calls itself.
	UserAgent string
}

// How long an answer may take: to a question, and to a request for work, which
// may wait for another worker and for consumers. The server gives up first.
const (
	askTimeout  = 5 * time.Minute
	workTimeout = time.Hour + 5*time.Minute
)

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 256 << 20

// Client asks one server as one caller. It may be used by several goroutines.
type Client struct {
	base  *url.URL
	token string
	agent string
	http  *http.Client
}

var _ service.Operations = (*Client)(nil)

// New makes a client; it asks nothing yet.
func New(o Options) (*Client, error) {
	base, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Token == "" {
		return nil, errors.New("no token says who asks")
	}
	// A text that is no token must not reach a header, whose errors would quote
	// it.
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token holds blanks or other characters that no token has")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CA) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("there is no certificate of an authority (try: a file in PEM)")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &Client{base: base, token: o.Token, agent: o.UserAgent, http: &http.Client{
		Transport: transport,
		// The token is for this server alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// parseURL takes what leads to a server and would not give the token away. The
// parser's errors are left out: they quote what may hold a password.
func parseURL(text string) (*url.URL, error) {
	const hint = "(try: https://rota.example.com)"
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("the server's address is no URL %s", hint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the server's address has more than a host and a path %s", hint)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("%s is another machine: without TLS anybody between could read the token and what is answered (try: https)", u.Host)
	}
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// path is a path under /v1, of segments that are escaped each by itself.
func path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// get asks and reads the answer into a document.
func get[D any](ctx context.Context, c *Client, path string, query url.Values) (doc D, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = c.exchange(ctx, http.MethodGet, path, query, nil, &doc)
	return doc, err
}

// post asks for work; a nil body is none.
func post[D any](ctx context.Context, c *Client, path string, query url.Values, body any) (doc D, err error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	err = c.exchange(ctx, http.MethodPost, path, query, body, &doc)
	return doc, err
}

// exchange sends one request and reads one answer into doc, if it is not nil.
func (c *Client) exchange(ctx context.Context, method, path string, query url.Values, body, doc any) error {
	resp, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refusal(resp)
	}
	if doc == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(doc); err != nil {
		return fmt.Errorf("ask %s: its answer is not what was expected: %w (try: the same version of rota there and here)", c.base.Host, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	address := strings.TrimSuffix(c.base.String(), "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		// With it, the request may be sent again on another connection.
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // without the address, which holds secrets' names
		}
		err = rota.Sanitize(err, rota.NewCredential(map[string]string{"token": c.token}))
		return nil, fmt.Errorf("ask %s: %w (try: is rota serve up there, and the address right?)", c.base.Host, err)
	}
	return resp, nil
}
