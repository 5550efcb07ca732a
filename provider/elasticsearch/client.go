package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

const exampleURL = "https://search.internal:9200"

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
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

// Connection is one login at a cluster. It's safe for concurrent use.
type Connection struct {
	*httpapi.Connection
	product Product
}

// New returns a connection. Errors show its name as "elasticsearch <name>". It makes
// no calls.
func New(name string, cfg Config) (*Connection, error) {
	login := ""
	switch {
	case cfg.Username != "" && cfg.Password != "":
		login = httpapi.Basic(cfg.Username, cfg.Password)
	case cfg.Username != "" || cfg.Password != "" || cfg.Certificates.Cert == "":
		return nil, rota.WithRemedies(fmt.Errorf("%s %s: the username or the password is empty", cfg.Product.system().Key, name), rota.Outside("give the connection both, or a client certificate"))
	}
	c, err := httpapi.New(name, cfg.Product.system(), httpapi.Config{URL: cfg.URL, Authorization: login, Certificates: cfg.Certificates, Now: cfg.Now, Reach: cfg.Reach})
	return &Connection{c, cfg.Product}, err
}

// system is a product's API.
func (p Product) system() httpapi.System {
	return httpapi.System{
		Key: strings.ToLower(string(p)), Name: string(p), ExampleURL: exampleURL, Login: "username and password",
		MessageOf: messageOf, Explain: p.explain,
	}
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
	err = c.Do(ctx, httpapi.Request{Op: "look at the cluster", Method: http.MethodGet, Path: "/"}, &r)
	return r, err
}

// explain is about refusals whose status doesn't say enough.
func (p Product) explain(e *rota.Error, _ httpapi.Request, a *provider.Answer) {
	switch {
	case securityOff(a.Message):
		e.Class = rota.ClassStop
		e.Remedies = rota.Outside(fmt.Sprintf("turn security on in the cluster (xpack.security.enabled: true), or check that the url of connection %s leads to %s", e.Connection, p))
	case a.Status == http.StatusNotFound:
		e.Remedies = rota.Outside(fmt.Sprintf("check that the url of connection %s leads to %s, with API keys turned on", e.Connection, p))
	case a.Status == http.StatusTooManyRequests && strings.Contains(a.Message, "Maximum limit"): // of keys, not of requests
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("revoke API keys that nobody uses any more, or raise the cluster's limit of them")
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
