package rabbitmq

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config is a RabbitMQ server or cluster, and how Rota logs in to it.
type Config struct {
	// URL is the management API's, without /api: https://mq.internal:15671.
	URL string
	// Username and Password are an administrator's.
	Username, Password string
	// AMQP is where new passwords are tested, such as amqps://mq.internal. Without
	// it they're tested over the management API, which few users may log in to.
	AMQP string
	// SendPasswords sends new passwords instead of their hashes, so that the
	// server's credential validator sees them.
	SendPasswords bool
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Timeout limits one request or login. Defaults to 10 s.
	Timeout time.Duration
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

const defaultTimeout = 10 * time.Second

// Connection is a RabbitMQ server or cluster. It's safe for concurrent use.
type Connection struct {
	name string
	cfg  Config
	api  string // the URL's, with /api
	amqp *url.URL
	tls  *tls.Config
	http *http.Client
}

// New checks the settings and reads the certificates they name, without touching
// the network.
func New(name string, cfg Config) (*Connection, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	c := &Connection{name: name, cfg: cfg}
	u, err := apiAddress(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("%s: url: %w", c.system(), err)
	}
	c.api = strings.TrimSuffix(u.String(), "/") + "/api"
	if cfg.AMQP != "" {
		if c.amqp, err = amqpAddress(cfg.AMQP); err != nil {
			return nil, fmt.Errorf("%s: amqp: %w", c.system(), err)
		}
		if c.amqp.Port() == "" {
			c.amqp.Host = net.JoinHostPort(c.amqp.Hostname(), map[string]string{"amqps": "5671", "amqp": "5672"}[c.amqp.Scheme])
		}
	}
	if c.tls, err = cfg.Certificates.TLS(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	if c.http, err = provider.NewHTTPClient(cfg.Certificates, cfg.Reach, cfg.Timeout, c.sent); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	return c, nil
}

// sent is what's secret in a request.
func (c *Connection) sent(r *http.Request, body []byte) rota.Credential {
	_, password, _ := r.BasicAuth()
	return provider.Sent(password, body, func(key string) bool { return strings.HasPrefix(key, "password") })
}

// apiAddress reads the management plugin's address.
func apiAddress(text string) (*url.URL, error) {
	u, err := provider.ParseAddress(text, "https://mq.internal:15671")
	if err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/api") {
		without := strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api")
		err = rota.WithRemedies(errors.New("holds the API's own /api"), rota.Configure("", u.Scheme+"://"+u.Host+without))
	}
	return u, err
}

// amqpAddress reads a listener's address.
func amqpAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "amqps" && u.Scheme != "amqp":
		return nil, rota.WithRemedies(errors.New("not an address"), rota.Configure("", "amqps://mq.internal"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, rota.WithRemedies(errors.New("holds more than a place"), rota.Configure("", "the address alone, with the virtual host in a key of its own"))
	}
	return u, nil
}

// Close ends idle connections.
func (c *Connection) Close() { c.http.CloseIdleConnections() }

func (c *Connection) system() string { return "rabbitmq " + c.name }
