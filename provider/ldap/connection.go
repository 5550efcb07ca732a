package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config is a directory, and how Rota logs in to it.
type Config struct {
	// URL is the server's that accepts changes: ldaps://ldap.internal, or ldap:// for
	// StartTLS.
	URL string
	// BindDN and Password are those of an entry that may change passwords.
	BindDN, Password string
	// Plain leaves out StartTLS. Only loopback addresses allow that.
	Plain bool
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Timeout limits one login and what's done with it. Defaults to 10 s.
	Timeout time.Duration
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

const defaultTimeout = 10 * time.Second

// Connection is a directory. It's safe for concurrent use: each call has a session of
// its own.
type Connection struct {
	name   string
	cfg    Config
	url    *url.URL
	bindDN string // normalized
	tls    *tls.Config
}

// New checks the settings and reads the certificates they name, without touching
// the network.
func New(name string, cfg Config) (*Connection, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	c := &Connection{name: name, cfg: cfg}
	var err error
	if c.url, err = place(cfg.URL); err != nil {
		return nil, fmt.Errorf("%s: url: %w", c.system(), err)
	}
	if cfg.Plain && (c.url.Scheme == "ldaps" || !provider.Loopback(c.url.Hostname())) {
		return nil, rota.WithRemedies(fmt.Errorf("%s: start_tls: only ldap on a loopback address goes without TLS: anyone on the network path could read passwords", c.system()), rota.Configure("start_tls", "start_tls: true"))
	}
	if c.bindDN, err = normalize(cfg.BindDN); err != nil {
		return nil, fmt.Errorf("%s: bind_dn: %w", c.system(), err)
	}
	if cfg.Password == "" {
		return nil, rota.WithRemedies(fmt.Errorf("%s: the password is empty, and a login without one is anonymous", c.system()), rota.Configure("password", "the password of "+cfg.BindDN))
	}
	if c.tls, err = cfg.Certificates.TLS(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	c.tls.ServerName = c.url.Hostname()
	return c, nil
}

// place reads an address that holds nothing but a place, and adds the port.
func place(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "ldaps" && u.Scheme != "ldap":
		return nil, rota.WithRemedies(errors.New("not an address"), rota.Configure("", "ldaps://ldap.internal"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, rota.WithRemedies(errors.New("holds more than a place"), rota.Configure("", "the address alone, with the entries' names in keys of their own"))
	case u.Port() == "":
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"ldaps": "636", "ldap": "389"}[u.Scheme])
	}
	return u, nil
}

// typeNames are the other names of attributes in DNs, by RFC 4519 and as OIDs.
var typeNames = map[string]string{
	"commonname": "cn", "2.5.4.3": "cn", "surname": "sn", "2.5.4.4": "sn", "countryname": "c", "2.5.4.6": "c",
	"localityname": "l", "2.5.4.7": "l", "stateorprovincename": "st", "2.5.4.8": "st", "streetaddress": "street", "2.5.4.9": "street",
	"organizationname": "o", "2.5.4.10": "o", "organizationalunitname": "ou", "2.5.4.11": "ou",
	"userid": "uid", "0.9.2342.19200300.100.1.1": "uid", "domaincomponent": "dc", "0.9.2342.19200300.100.1.25": "dc",
}

// normalize spells a DN in one way: without case, with single spaces, each attribute
// by its short name, those of one RDN in order, and escaped only where it must be.
func normalize(dn string) (string, error) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return "", rota.WithRemedies(fmt.Errorf("%q isn't a DN", dn), rota.Configure("", "uid=orders,ou=apps,dc=example,dc=com, with \\ before a comma in a value"))
	}
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			a.Value = strings.ToLower(strings.Join(strings.Fields(a.Value), " "))
			a.Type = strings.ToLower(a.Type)
			if short, ok := typeNames[a.Type]; ok {
				a.Type = short
			}
		}
		slices.SortFunc(rdn.Attributes, func(a, b *ldap.AttributeTypeAndValue) int {
			return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Value, b.Value))
		})
	}
	return strings.ToLower(parsed.String()), nil
}

func (c *Connection) system() string { return "ldap " + c.name }

// plain reports whether nothing is encrypted.
func (c *Connection) plain() bool { return c.url.Scheme == "ldap" && c.cfg.Plain }

// session is a login as Rota.
func (c *Connection) session(ctx context.Context, op string, do func(*ldap.Conn) error, used ...rota.Credential) error {
	return c.failed(ctx, op, c.dial(ctx, func(conn *ldap.Conn) error {
		if err := conn.Bind(c.cfg.BindDN, c.cfg.Password); err != nil {
			return &ownLogin{err}
		}
		return do(conn)
	}), used...)
}

// ownLogin is an error of Rota's own login.
type ownLogin struct{ error }

func (o *ownLogin) Unwrap() error { return o.error }

// dial connects, and ends the connection with the call or its context.
func (c *Connection) dial(ctx context.Context, do func(*ldap.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	raw, err := c.cfg.Reach.Dialer(0).DialContext(ctx, "tcp", c.url.Host)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	var conn *ldap.Conn
	if c.url.Scheme == "ldaps" {
		encrypted := tls.Client(raw, c.tls.Clone())
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return timely(ctx, err)
		}
		conn = ldap.NewConn(encrypted, true)
	} else {
		conn = ldap.NewConn(raw, false)
	}
	conn.Start()
	defer func() { _ = conn.Close() }()
	if c.url.Scheme == "ldap" && !c.cfg.Plain {
		if err := conn.StartTLS(c.tls.Clone()); err != nil {
			return timely(ctx, fmt.Errorf(startTLS+"%w", err))
		}
	}
	return timely(ctx, do(conn))
}

// timely replaces what the client says about a connection that was closed because
// its time was up.
func timely(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
