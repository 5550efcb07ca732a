package elasticsearch

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	requestTimeout = 30 * time.Second // the context's deadline can be earlier
	exampleURL     = "https://search.internal:9200"
)

// Config is a cluster, and Rota's login there.
type Config struct {
	// Product is what runs there.
	Product Product
	// URL is that of one node, or of what's in front of them.
	URL string
	// Username and Password are Rota's. They're empty if it logs in with the
	// certificate alone.
	Username, Password string
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Connection is one login at a cluster. It's safe for concurrent use.
type Connection struct {
	name    string
	product Product
	url     *url.URL
	login   string // the Authorization header
	http    *http.Client
	now     func() time.Time
}

// New returns a connection. Errors show its name as "elasticsearch <name>". It makes
// no calls.
func New(name string, cfg Config) (*Connection, error) {
	c := &Connection{name: name, product: cfg.Product, now: cfg.Now}
	if c.now == nil {
		c.now = time.Now
	}
	var err error
	if c.url, err = provider.ParseAddress(strings.TrimSuffix(cfg.URL, "/"), exampleURL); err != nil {
		return nil, fmt.Errorf("%s: url: %w", c.system(), err)
	}
	switch {
	case cfg.Username != "" && cfg.Password != "":
		c.login = "Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.Username+":"+cfg.Password))
	case cfg.Username != "" || cfg.Password != "" || cfg.Certificates.Cert == "":
		return nil, rota.WithRemedies(fmt.Errorf("%s: the username or the password is empty", c.system()), rota.Outside("give the connection both, or a client certificate"))
	}
	if c.http, err = provider.NewHTTPClient(cfg.Certificates, requestTimeout, sent); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	return c, nil
}

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: the id that a cluster gives itself.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	r, err := c.root(ctx)
	return r.ClusterUUID, err
}

// root is what a cluster says about itself.
type root struct {
	ClusterUUID string `json:"cluster_uuid"`
	Version     struct {
		Distribution string `json:"distribution"` // OpenSearch's alone
		Number       string `json:"number"`
	} `json:"version"`
}

func (c *Connection) root(ctx context.Context) (r root, err error) {
	err = c.do(ctx, request{op: "look at the cluster", method: http.MethodGet, path: "/"}, &r)
	return r, err
}

// sent is what's secret in a request: what it logs in with.
func sent(r *http.Request, _ []byte) rota.Credential {
	_, login, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	fields := map[string]string{"login": login}
	if text, err := base64.StdEncoding.DecodeString(login); err == nil {
		_, fields["password"], _ = strings.Cut(string(text), ":")
	}
	return rota.NewCredential(fields)
}

// system is the connection's name in errors.
func (c *Connection) system() string { return strings.ToLower(string(c.product)) + " " + c.name }

// request is one request.
type request struct {
	op, method, path string
	query            url.Values
	body             any
	// key is the Authorization header if it's a key that logs in, and not Rota.
	key string
	// needs is what Rota's user must be allowed.
	needs string
}

// errUnreadable stands for an answer that isn't the cluster's. What it said isn't
// shown: it may hold a value.
var errUnreadable = errors.New("the answer could not be read")

// do makes one request. Its answer goes into out.
func (c *Connection) do(ctx context.Context, q request, out any) error {
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return c.refuse(q.op, "correct the permissions in rota.yaml", errors.New("the request can't be written as JSON"))
		}
		body = bytes.NewReader(text)
	}
	at := *c.url
	at.Path, at.RawQuery = at.Path+q.path, q.query.Encode()
	r, err := http.NewRequestWithContext(ctx, q.method, at.String(), body)
	if err != nil {
		return c.refuse(q.op, "correct the connection's url", errors.New("the address can't be used"))
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if login := q.login(c); login != "" {
		r.Header.Set("Authorization", login)
	}
	e := &rota.Error{System: c.system(), Connection: c.name, Op: q.op}
	resp, err := c.http.Do(r)
	if err != nil {
		provider.Unanswered(e, err, string(c.product), c.url.Host, "url")
		return e
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusMultipleChoices {
		c.answered(e, q, resp, messageOf(text))
		return e
	}
	if err != nil || json.Unmarshal(text, out) != nil {
		e.Class, e.Err = rota.ClassWait, errUnreadable
		e.Remedies = rota.Outside(fmt.Sprintf("check that the url of connection %s leads to %s and not to a proxy or a login page", c.name, c.product))
		return e
	}
	return nil
}

func (q request) login(c *Connection) string {
	if q.key != "" {
		return "ApiKey " + q.key
	}
	return c.login
}

// answered classifies an answer that isn't a success.
func (c *Connection) answered(e *rota.Error, q request, resp *http.Response, message string) {
	said := &provider.Answer{Status: resp.StatusCode, Message: message}
	e.Class, e.Err = rota.ClassOfStatus(resp.StatusCode), said
	switch status := resp.StatusCode; {
	case securityOff(message):
		e.Class = rota.ClassStop
		e.Remedies = rota.Outside(fmt.Sprintf("turn security on in the cluster (xpack.security.enabled: true), or check that the url of connection %s leads to %s", c.name, c.product))
	case status == http.StatusUnauthorized && q.key != "":
		// A new key may not be known to every node yet.
		e.Class, said.Is = rota.ClassWait, rota.ErrRefused
	case status == http.StatusUnauthorized:
		e.Remedies = rota.Outside("give connection " + c.name + " a valid username and password: these are wrong, or the user is off")
	case status == http.StatusForbidden && q.key == "":
		e.Remedies = rota.Outside(fmt.Sprintf("give the user of connection %s %s", c.name, q.needs))
	case status == http.StatusNotFound:
		said.Is = rota.ErrNotFound
		e.Remedies = rota.Outside(fmt.Sprintf("check that the url of connection %s leads to %s, with API keys turned on", c.name, c.product))
	case status == http.StatusTooManyRequests && strings.Contains(message, "Maximum limit"): // of keys, not of requests
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("revoke API keys that nobody uses any more, or raise the cluster's limit of them")
	case status == http.StatusTooManyRequests:
		e.RetryAfter = rota.RetryAfter(resp.Header.Get("Retry-After"), c.now())
	case status < http.StatusBadRequest:
		e.Remedies = rota.Outside("write the url of connection " + c.name + " as it is now: it redirects to another, and Rota follows no redirect with its login")
	case e.Class == rota.ClassStop:
		e.Remedies = rota.Outside("do what the message says")
	}
}

// securityOff reports whether a refusal is what a cluster without security says.
// Releases differ.
func securityOff(message string) bool {
	return slices.ContainsFunc([]string{"no handler found", "Invalid index name [_security]", "xpack.security.enabled"},
		func(part string) bool { return strings.Contains(message, part) })
}

// messageOf is what a refusal says, "" if it isn't in one of the products' forms.
func messageOf(text []byte) string {
	var said struct {
		Message string          `json:"message"` // OpenSearch's security plugin
		Error   json.RawMessage `json:"error"`
	}
	_ = json.Unmarshal(text, &said)
	var cause struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(said.Error, &cause) == nil && cause.Reason != "" {
		return provider.Said(cause.Type + ": " + cause.Reason)
	}
	var plain string
	if json.Unmarshal(said.Error, &plain) == nil {
		return provider.Said(plain)
	}
	return provider.Said(said.Message)
}

// refuse returns an error of Rota's own that only a person can fix.
func (c *Connection) refuse(op, hint string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: err}
}
