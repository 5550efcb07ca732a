package grpccreds

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/rota-dev/rota/client/tlscert"
)

// Client returns a client's credentials: each connection is made with the certificate
// and the authorities that are the secret's current version by then. base may be nil.
//
// A connection that stands keeps the certificate it was made with. Servers end
// connections after a while, as grpc's MaxConnectionAge does.
func Client(c *tlscert.Certificate, base *tls.Config) credentials.TransportCredentials {
	return &transport{TransportCredentials: credentials.NewTLS(base), certificate: c, base: base}
}

// Server returns a server's credentials: each connection gets the certificate that's
// the secret's current version by then. base may be nil. With its ClientAuth, clients
// need a certificate of the secret's authorities.
func Server(c *tlscert.Certificate, base *tls.Config) credentials.TransportCredentials {
	if base == nil {
		base = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	base = base.Clone()
	base.NextProtos = []string{"h2"} // of the configurations made for each version, too
	return credentials.NewTLS(c.Server(base))
}

// transport makes the credentials of each connection when it's made.
type transport struct {
	credentials.TransportCredentials
	certificate *tlscert.Certificate
	base        *tls.Config
}

// ClientHandshake implements [credentials.TransportCredentials].
func (t *transport) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := t.certificate.Client(ctx, t.base)
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

// Clone implements [credentials.TransportCredentials].
func (t *transport) Clone() credentials.TransportCredentials {
	return &transport{TransportCredentials: t.TransportCredentials.Clone(), certificate: t.certificate, base: t.base}
}
