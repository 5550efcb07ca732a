package httpapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// defaultTimeout limits one request. The context's deadline can be earlier.
const defaultTimeout = 30 * time.Second

// System is a kind of system, as its provider describes it.
type System struct {
	// Key is that of its connections in rota.yaml, such as "grafana". Errors begin
	// with it.
	Key string
	// Name is what people call it: "Grafana".
	Name string
	// DefaultURL is where it is if rota.yaml doesn't say; "" if it has to.
	DefaultURL string
	// ExampleURL is an address, for hints. Defaults to DefaultURL.
	ExampleURL string
	// Login is what Rota logs in with, for people. Defaults to "token".
	Login string
	// Rate is how often an instance may be called. Zero is no limit.
	Rate rota.Rate
	// Refusals are the causes that it names in a 400 or 422.
	Refusals []provider.Cause
	// MessageOf is what a refusal says. Defaults to the texts of a JSON object's
	// "message", "error" or "errors".
	MessageOf func(body []byte) string
	// Identity asks an instance who it is, for [provider.Identifier]; nil if it has
	// nothing that identifies it.
	Identity func(ctx context.Context, c *Connection) (string, error)
	// Explain has the last word on the class and the remedies of a refusal; nil if
	// the status says enough.
	Explain func(e *rota.Error, r Request, a *provider.Answer)
}

// Config is one instance of a system, and Rota's login there.
type Config struct {
	// URL is where all paths begin. Defaults to the system's.
	URL string
	// Authorization is the header that logs in, such as [Bearer]'s. "" leaves that to
	// the client's certificate.
	Authorization string
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Timeout limits one request. Defaults to 30 s.
	Timeout time.Duration
	// Budget keeps the system's rate. Defaults to one for this connection alone.
	Budget rota.Budget
	// Now is Rota's clock. Defaults to time.Now.
	Now func() time.Time
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

// Connection is one login at a system. It's safe for concurrent use.
type Connection struct {
	name   string
	system System
	cfg    Config
	url    *url.URL
	http   *http.Client
	clock  *provider.Clock
}

var _ provider.Identifier = (*Connection)(nil)

// Bearer is the Authorization header of a token.
func Bearer(token string) string {
	if token == "" {
		return ""
	}
	return "Bearer " + token
}

// Basic is the Authorization header of a user.
func Basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// New returns a connection, whose name errors show after the system's key. It makes no
// calls.
func New(name string, s System, cfg Config) (*Connection, error) {
	c := &Connection{name: name, system: s, cfg: cfg}
	var err error
	if c.url, err = s.address(cfg.URL); err != nil {
		return nil, fmt.Errorf("%s: url: %w", c.System(), err)
	}
	if cfg.Authorization == "" && cfg.Certificates.Cert == "" {
		return nil, rota.WithRemedies(fmt.Errorf("%s: the %s is empty", c.System(), s.login()), rota.Outside("give the connection a "+s.login()))
	}
	if c.http, err = provider.NewHTTPClient(cfg.Certificates, cfg.Reach, cmp.Or(cfg.Timeout, defaultTimeout), sent); err != nil {
		return nil, fmt.Errorf("%s: %w", c.System(), err)
	}
	if cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	if cfg.Budget == nil {
		c.cfg.Budget = rota.NewLocalBudget()
	}
	c.clock = &provider.Clock{RoundTripper: c.http.Transport, Now: c.cfg.Now}
	c.http.Transport = c.clock
	return c, nil
}

func (s System) login() string { return cmp.Or(s.Login, "token") }

// address reads an instance's address.
func (s System) address(text string) (*url.URL, error) {
	return provider.ParseAddress(strings.TrimSuffix(cmp.Or(text, s.DefaultURL), "/"), cmp.Or(s.ExampleURL, s.DefaultURL))
}

// sent is what's secret in a request: what it logs in with.
func sent(r *http.Request, _ []byte) rota.Credential {
	_, login, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	fields := map[string]string{"login": login}
	if _, password, ok := r.BasicAuth(); ok {
		fields["password"] = password
	} else if text, err := base64.StdEncoding.DecodeString(login); err == nil { // an id and a key
		_, fields["password"], _ = strings.Cut(string(text), ":")
	}
	return rota.NewCredential(fields)
}

// Name is the connection's in rota.yaml.
func (c *Connection) Name() string { return c.name }

// System is the connection's name in errors: "grafana main".
func (c *Connection) System() string { return c.system.Key + " " + c.name }

// Identity implements [provider.Identifier].
func (c *Connection) Identity(ctx context.Context) (string, error) {
	if c.system.Identity == nil {
		return "", nil
	}
	return c.system.Identity(ctx, c)
}

// Close ends idle connections.
func (c *Connection) Close() { c.http.CloseIdleConnections() }

// Now is the time by Rota's clock.
func (c *Connection) Now() time.Time { return c.cfg.Now() }

// Here is a time that the system gave, by Rota's clock.
func (c *Connection) Here(t time.Time) time.Time { return c.clock.Here(t) }

// Refuse returns an error of Rota's own that only a person can end. hint is what to do.
func (c *Connection) Refuse(op, hint string, err error) error {
	return &rota.Error{System: c.System(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: err}
}

// Refused returns an error for a credential that isn't let in, or not yet.
func (c *Connection) Refused(op, why string) error {
	return &rota.Error{System: c.System(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: fmt.Errorf("%s: %w", why, rota.ErrRefused)}
}

// ErrUnreadable stands for an answer that isn't the system's. What it said isn't shown:
// it may hold a value.
var ErrUnreadable = errors.New("the answer could not be read")

// Unreadable returns an error for an answer that isn't the system's.
func (c *Connection) Unreadable(op string) error {
	return &rota.Error{
		System: c.System(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: ErrUnreadable,
		Remedies: rota.Outside(fmt.Sprintf("check that the url of connection %s leads to %s and not to a proxy or a login page", c.name, c.system.Name)),
	}
}

// There is a time of Rota's, by the system's clock.
func (c *Connection) There(t time.Time) time.Time {
	there, _ := c.clock.There(t)
	return there
}

// take waits until the system may be called.
func (c *Connection) take(ctx context.Context) error {
	if c.system.Rate == (rota.Rate{}) {
		return nil
	}
	return c.cfg.Budget.Take(ctx, c.System()+" "+strings.ToLower(c.url.Host), c.system.Rate)
}
