package api

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
)

// Options say which server to ask, and as whom.
type Options struct {
	// URL is the server's, such as https://rota.example.com. Without TLS, only
	// this machine may be asked.
	URL string
	// Token proves who asks: [TokenFromFile], [TokenFromEnv], [StaticToken] or
	// a function of your own. Required, unless TLS has a client certificate.
	Token TokenSource
	// CA holds the authorities that may sign the server's certificate, as PEM.
	// Defaults to those of TLS, and then to the system's.
	CA []byte
	// TLS is for client certificates and whatever else TLS needs. TLS 1.2 is
	// the least in any case. Defaults to none.
	TLS *tls.Config
	// UserAgent is what the client calls itself. Defaults to "rota-go".
	UserAgent string
	// AskTimeout bounds a request that only reads, or that changes who may do
	// what. Defaults to 5 minutes.
	AskTimeout time.Duration
	// WorkTimeout bounds a request that works on secrets, which may have to
	// wait for another worker and for consumers to reload. The server gives up
	// after an hour. Defaults to 65 minutes.
	WorkTimeout time.Duration
}

// The defaults of Options.
const (
	defaultUserAgent   = "rota-go"
	defaultAskTimeout  = 5 * time.Minute
	defaultWorkTimeout = time.Hour + 5*time.Minute
)

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 256 << 20

// Client asks one server as one caller. It may be used from several
// goroutines.
type Client struct {
	base      *url.URL
	tokens    TokenSource // nil: the client certificate says who asks
	userAgent string
	ask, work time.Duration
	http      *http.Client
}

// New makes a client. It sends no request yet.
func New(o Options) (*Client, error) {
	base, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	if len(o.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(o.CA) {
			return nil, rota.WithRemedies(errors.New("there is no certificate of an authority"), rota.Outside("a file in PEM"))
		}
	}
	if o.Token == nil && len(config.Certificates) == 0 && config.GetClientCertificate == nil {
		return nil, errors.New("neither a token nor a client certificate says who asks")
	}
	c := &Client{base: base, tokens: o.Token, userAgent: o.UserAgent, ask: o.AskTimeout, work: o.WorkTimeout}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	if c.ask == 0 {
		c.ask = defaultAskTimeout
	}
	if c.work == 0 {
		c.work = defaultWorkTimeout
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	transport.TLSClientConfig = config
	c.http = &http.Client{
		Transport: transport,
		// The token is for this server alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// parseURL accepts what leads to a server without giving the token away. The
// parser's errors are left out: they quote what may hold a password.
func parseURL(text string) (*url.URL, error) {
	refuse := func(why, hint string) (*url.URL, error) {
		return nil, rota.WithRemedies(errors.New(why), rota.Outside(hint))
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return refuse("the server's address is no URL", "give one such as https://rota.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return refuse("the server's address has more than a host and a path", "give one such as https://rota.example.com")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return refuse(u.Host+" is another machine: without TLS anybody between could read the token and what is answered", "use https")
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

// path is a path under /v1, with each segment escaped by itself.
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
	ctx, cancel := context.WithTimeout(ctx, c.ask)
	defer cancel()
	err = c.exchange(ctx, http.MethodGet, path, query, nil, &doc)
	return doc, err
}

// post asks for work; a nil body is none.
func post[D any](ctx context.Context, c *Client, path string, query url.Values, body any) (doc D, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.work)
	defer cancel()
	err = c.exchange(ctx, http.MethodPost, path, query, body, &doc)
	return doc, err
}

// exchange sends one request and reads one answer into doc, unless it is nil.
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
		return rota.WithRemedies(fmt.Errorf("ask %s: its answer is not what was expected: %w", c.base.Host, err), rota.Outside("the same version of rota there and here"))
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
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet && path != reportPath {
		// With it, net/http may send the request again on another connection:
		// the server carries it out once.
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // without the address, which holds secrets' names
		}
		err = rota.Sanitize(err, rota.NewCredential(map[string]string{"token": token}))
		return nil, rota.WithRemedies(fmt.Errorf("ask %s: %w", c.base.Host, err), rota.Outside("check that the server is running there, and that the address is right"))
	}
	return resp, nil
}
