package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	api "github.com/openbao/openbao/api/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	defaultTimeout = 30 * time.Second // the context's deadline can be earlier
)

// Config is a Vault or OpenBao, and how Rota logs in to it.
type Config struct {
	// Address is where it listens, such as "https://vault.internal:8200".
	Address string
	// Namespace is the one that all paths are in. "" is the root namespace.
	Namespace string
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// TLSServerName is the host that the server's certificate is made for. Defaults
	// to the address's.
	TLSServerName string
	// Login is how Rota authenticates.
	Login Login
	// Timeout limits one request. Defaults to 30 s.
	Timeout time.Duration
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Connection is one login at a Vault. It's safe for concurrent use.
type Connection struct {
	name    string
	cfg     Config
	host    string
	api     *api.Client // in the connection's namespace
	root    *api.Client // in the root namespace
	session *session
	clock   *provider.Clock
	kv      kvVersions
}

// New returns a connection. Errors show its name as "vault <name>". It makes no
// calls.
func New(name string, cfg Config) (*Connection, error) {
	c := &Connection{name: name, cfg: cfg}
	if c.cfg.Timeout == 0 {
		c.cfg.Timeout = defaultTimeout
	}
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	u, err := parseAddress(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("%s: address: %w", c.system(), err)
	}
	if cfg.Login == nil {
		return nil, rota.WithRemedies(fmt.Errorf("%s: no login", c.system()), rota.Configure("", "token, app_role, kubernetes, jwt or aws_iam"))
	}
	c.host = u.Host
	trust, err := c.cfg.Certificates.TLS()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	// A configuration of its own: the client's default one reads VAULT_* and BAO_*.
	settings := api.NewConfig()
	if settings.Error != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), settings.Error)
	}
	settings.Address, settings.Timeout, settings.MaxRetries, settings.DisableRedirects = cfg.Address, c.cfg.Timeout, 0, true
	transport := settings.HttpClient.Transport.(*http.Transport)
	trust.ServerName = cfg.TLSServerName
	transport.TLSClientConfig = trust
	c.clock = &provider.Clock{RoundTripper: provider.Bounded{RoundTripper: transport}, Now: c.cfg.Now}
	settings.HttpClient.Transport = c.clock
	if c.root, err = api.NewClient(settings); err != nil {
		return nil, fmt.Errorf("%s: address: can't be used", c.system())
	}
	c.api = c.root.WithNamespace(strings.Trim(cfg.Namespace, "/"))
	c.session = newSession(c)
	return c, nil
}

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: the id that a cluster gives itself.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	h, err := c.health(ctx)
	return h.ClusterID, err
}

// vaultsNow is what Vault's clock shows, as far as that's known.
func (c *Connection) vaultsNow() time.Time {
	there, _ := c.clock.There(c.cfg.Now())
	return there
}

// Close ends what runs in the background. The login stays: leases end with it.
func (c *Connection) Close() { c.session.close() }

// parseAddress reads an address that holds nothing but a place.
func parseAddress(text string) (*url.URL, error) {
	u, err := provider.ParseAddress(text, "https://vault.internal:8200")
	if err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/v1") {
		return nil, rota.WithRemedies(errors.New("holds the API's own /v1"), rota.Configure("", u.Scheme+"://"+u.Host))
	}
	return u, err
}

// system is the connection's name in errors.
func (c *Connection) system() string { return "vault " + c.name }

// call is one request.
type call struct {
	op     string // for people: "read entry apps/orders"
	method string
	path   string // below /v1/
	body   any
	allow  string            // the capabilities that it takes, if the method doesn't say
	used   []rota.Credential // what the request holds, for no error to show
	// token, if it isn't nil, is the login to use instead of the connection's own;
	// "" sends none. What it's refused isn't the connection's fault.
	token *string
	root  bool // in the root namespace
	// params are those of the URL; they hold no secret.
	params map[string]string
	// bare, if set, gets the whole answer, which isn't in Vault's usual form.
	bare any
}

// methodList is Vault's own method.
const methodList = "LIST"

// capability is what a policy must allow for the call, in Vault's words.
func (k call) capability() string {
	if k.allow != "" {
		return k.allow
	}
	switch k.method {
	case http.MethodGet:
		return "read"
	case methodList:
		return "list"
	case http.MethodDelete:
		return "delete"
	}
	return "update"
}

// result is Vault's answer.
type result struct {
	Data          json.RawMessage `json:"data"`
	Auth          *auth           `json:"auth"`
	LeaseID       string          `json:"lease_id"`
	LeaseDuration int64           `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
	// Wrapped is there if Vault keeps the answer for somebody who has approved the
	// request, or unwraps it. Of a request that has to be approved, nothing is done yet.
	Wrapped *struct{} `json:"wrap_info"`
}

// auth is what a login answers.
type auth struct {
	ClientToken   string            `json:"client_token"`
	LeaseDuration int64             `json:"lease_duration"` // seconds; 0 means that it never ends
	Renewable     bool              `json:"renewable"`
	Metadata      map[string]string `json:"metadata"`
}

// do makes one request with the connection's login. Its answer's data goes into
// out, if that isn't nil.
func (c *Connection) do(ctx context.Context, k call, out any) (result, error) {
	if k.token != nil {
		return c.send(ctx, k, *k.token, out)
	}
	token, err := c.session.token(ctx, false)
	if err != nil {
		return result{}, err
	}
	r, err := c.send(ctx, k, token, out)
	if provider.StatusOf(err) != http.StatusForbidden {
		return r, err
	}
	// A token may be revoked at any time: if Rota can log in again, it does so before
	// it believes that a policy is in the way. Nothing happened, so the call can be
	// made again.
	other, loginErr := c.session.instead(ctx, token)
	if loginErr != nil {
		return result{}, loginErr
	}
	if other == "" {
		return r, err
	}
	return c.send(ctx, k, other, out)
}

// send makes one request with a token.
func (c *Connection) send(ctx context.Context, k call, token string, out any) (result, error) {
	if err := ctx.Err(); err != nil {
		return result{}, c.fail(k, nil, err)
	}
	k.used = append(slices.Clone(k.used), rota.NewCredential(map[string]string{"token": token}))
	client := c.api
	if k.root {
		client = c.root
	}
	method := k.method
	if method == methodList {
		method = http.MethodGet // as Vault's own client does, for what's in between
	}
	req := client.NewRequest(method, path.Join("/v1", k.path))
	req.ClientToken = token
	if k.method == methodList {
		req.Params.Set("list", "true")
	}
	for name, value := range k.params {
		req.Params.Set(name, value)
	}
	if k.body != nil {
		if err := req.SetJSONBody(k.body); err != nil {
			return result{}, c.fail(k, nil, errors.New("the request can't be written as JSON"))
		}
	}
	resp, err := client.RawRequestWithContext(ctx, req)
	if resp != nil && resp.Body != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = errRedirected
	}
	if err != nil {
		return c.refusedWith(k, resp, err)
	}
	if resp.StatusCode == http.StatusNoContent {
		return result{}, nil
	}
	var r result
	into := any(&r)
	if k.bare != nil {
		into = k.bare
	}
	if err := resp.DecodeJSON(into); err != nil {
		return result{}, c.fail(k, resp, errUnreadable)
	}
	if r.Wrapped != nil {
		return result{}, c.fail(k, resp, errWrapped)
	}
	return r, c.decode(k, r, out)
}

// decode reads an answer's data.
func (c *Connection) decode(k call, r result, out any) error {
	if out == nil || len(r.Data) == 0 {
		return nil
	}
	if json.Unmarshal(r.Data, out) != nil {
		return c.fail(k, nil, errUnreadable)
	}
	return nil
}

// refusedWith is the answer to a request that failed. Vault answers 404 with data
// where the latest version of an entry is deleted.
func (c *Connection) refusedWith(k call, resp *api.Response, err error) (result, error) {
	var r result
	if resp != nil && resp.StatusCode == http.StatusNotFound {
		_ = resp.DecodeJSON(&r)
	}
	return r, c.fail(k, resp, err)
}
