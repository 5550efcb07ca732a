// Package tlscert follows a certificate that's rotated: each TLS connection is made
// with the secret's current version.
//
//	c := tlscert.New(secrets.Secret("prod/orders-tls"), tlscert.Options{})
//	server := &http.Server{TLSConfig: c.Server(&tls.Config{})}
//	…
//	transport := &http.Transport{DialTLSContext: c.Dial(nil)}
//
// The secret has the certificate's chain, its key, and perhaps the authorities to
// trust, all as PEM. Their names are those of a Kubernetes TLS Secret.
//
// A new version that can't be used, such as a key that doesn't belong to its
// certificate, is skipped: the last usable one stays, and [Certificate.Err] says why.
package tlscert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/rota-dev/rota/client"
)

// Options say which fields of the secret are what.
type Options struct {
	// Chain and Key are the names of the fields with the certificate, followed by the
	// intermediate ones, and its private key. They default to "tls.crt" and "tls.key".
	Chain, Key string
	// Roots is the name of the field with the authorities that the other side's
	// certificate is checked with. Defaults to "ca.crt". A secret may lack it: then a
	// client trusts the system's authorities.
	Roots string
}

// Certificate is a certificate that follows a secret. It may be used from several
// goroutines.
type Certificate struct {
	secret *client.Secret
	o      Options
	last   atomic.Pointer[version]
}

// version is what was made of one version of the secret.
type version struct {
	of    client.Value
	pair  *tls.Certificate
	roots *x509.CertPool // nil for the system's
	err   error          // why this version can't be used; pair and roots are the last usable one's
}

// New returns the certificate of a secret. Nothing is read yet.
func New(s *client.Secret, o Options) *Certificate {
	for option, name := range map[*string]string{&o.Chain: "tls.crt", &o.Key: "tls.key", &o.Roots: "ca.crt"} {
		if *option == "" {
			*option = name
		}
	}
	return &Certificate{secret: s, o: o}
}

// current returns what to use now. A version is parsed once.
func (c *Certificate) current(ctx context.Context) (*version, error) {
	v, err := c.secret.Get(ctx)
	if err != nil {
		return nil, err
	}
	last := c.last.Load()
	if last != nil && last.of == v {
		return last, nil
	}
	next, err := c.parse(v)
	if err != nil {
		err = fmt.Errorf("secret %q, version %s: %w", c.secret.Name(), v.Version(), err)
		if last == nil {
			return nil, err
		}
		next = &version{of: v, pair: last.pair, roots: last.roots, err: err}
	}
	c.last.CompareAndSwap(last, next)
	return next, nil
}

// parse reads a version. Errors of package tls don't quote keys.
func (c *Certificate) parse(v client.Value) (*version, error) {
	for _, field := range []string{c.o.Chain, c.o.Key} {
		if v.Field(field) == "" {
			return nil, fmt.Errorf("it has no field %q: its fields are %q", field, v.Names())
		}
	}
	pair, err := tls.X509KeyPair([]byte(v.Field(c.o.Chain)), []byte(v.Field(c.o.Key)))
	if err != nil {
		return nil, err
	}
	next := &version{of: v, pair: &pair}
	if text := v.Field(c.o.Roots); text != "" {
		next.roots = x509.NewCertPool()
		if !next.roots.AppendCertsFromPEM([]byte(text)) {
			return nil, fmt.Errorf("its field %q has no certificate in PEM", c.o.Roots)
		}
	}
	return next, nil
}

// Err returns why the secret's newest version isn't used; nil if it is.
func (c *Certificate) Err() error {
	if last := c.last.Load(); last != nil {
		return last.err
	}
	return nil
}

// GetCertificate is for [tls.Config], for a server whose authorities don't change.
func (c *Certificate) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	v, err := c.current(hello.Context())
	if err != nil {
		return nil, err
	}
	return v.pair, nil
}

// GetClientCertificate is for [tls.Config], for a client whose authorities don't
// change.
func (c *Certificate) GetClientCertificate(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	v, err := c.current(request.Context())
	if err != nil {
		return nil, err
	}
	return v.pair, nil
}

// Roots returns the authorities; nil for the system's.
func (c *Certificate) Roots(ctx context.Context) (*x509.CertPool, error) {
	v, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	return v.roots, nil
}

// Server returns a server's configuration: base, with the certificate, and with the
// authorities for certificates of clients, if base's ClientAuth asks for those. It
// follows the secret by itself. A session that was begun with an older version can't
// be resumed: the client makes a full handshake.
func (c *Certificate) Server(base *tls.Config) *tls.Config {
	config := cloned(base)
	var last atomic.Pointer[serverVersion]
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		v, err := c.current(hello.Context())
		if err != nil {
			return nil, err
		}
		before := last.Load()
		if before != nil && before.of == v {
			return before.config, nil
		}
		next := cloned(base)
		next.Certificates = []tls.Certificate{*v.pair}
		if next.ClientAuth >= tls.VerifyClientCertIfGiven && v.roots == nil && next.ClientCAs == nil {
			return nil, fmt.Errorf("secret %q has no field %q for the certificates of clients", c.secret.Name(), c.o.Roots)
		}
		if v.roots != nil {
			next.ClientCAs = v.roots
		}
		last.CompareAndSwap(before, &serverVersion{of: v, config: next})
		return next, nil
	}
	return config
}

// serverVersion is a server's configuration for one version: the same for all its
// connections, so that sessions can be resumed.
type serverVersion struct {
	of     *version
	config *tls.Config
}

// Client returns a client's configuration for one connection: base, with the
// certificate and the authorities of now. Ask for another one for the next connection.
func (c *Certificate) Client(ctx context.Context, base *tls.Config) (*tls.Config, error) {
	v, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	config := cloned(base)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return v.pair, nil }
	if v.roots != nil {
		config.RootCAs = v.roots
	}
	return config, nil
}

// Dial returns a function that connects with TLS, for DialTLSContext of
// [net/http.Transport]. base may be nil. For HTTP/2, base's NextProtos has "h2" and
// "http/1.1", and the transport has ForceAttemptHTTP2.
func (c *Certificate) Dial(base *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := c.Client(ctx, base)
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
	}
}

func cloned(base *tls.Config) *tls.Config {
	if base == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return base.Clone()
}
