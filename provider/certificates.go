package provider

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/rota-dev/rota"
)

// TLSFiles are the certificates of a connection's rota.yaml. Connections that use
// TLS embed them.
type TLSFiles struct {
	TLSCA   Text `json:"tls_ca,omitzero" host:"true" default:"the system's certificates" jsonschema:"The file with the certificates to trust."`
	TLSCert Text `json:"tls_cert,omitzero" host:"true" jsonschema:"The file with the client's certificate."`
	TLSKey  Text `json:"tls_key,omitzero" host:"true" jsonschema:"The file with the client's key."`
}

// CheckTLS reports half a client certificate of the connection at a position.
func (f TLSFiles) CheckTLS(v *Validation, at Pos) {
	if f.TLSCert.IsSet() != f.TLSKey.IsSet() {
		v.Problem(at, "", "", "tls_cert and tls_key must be set together")
	}
}

// Certificates are the files' names.
func (f TLSFiles) Certificates(b *Build) Certificates {
	return Certificates{CA: b.Text(f.TLSCA), Cert: b.Text(f.TLSCert), Key: b.Text(f.TLSKey)}
}

// Certificates are files in PEM that a connection's TLS uses.
type Certificates struct {
	// CA holds the authorities to trust. Defaults to the system's.
	CA string
	// Cert and Key are the client's own, for servers that ask for one.
	Cert, Key string
	// Prefix is what the keys in rota.yaml begin with, for errors. Defaults to
	// "tls_".
	Prefix string
}

// TLS reads the files.
func (c Certificates) TLS() (*tls.Config, error) {
	if c.Prefix == "" {
		c.Prefix = "tls_"
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%sca: %w", c.Prefix, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, rota.WithRemedies(fmt.Errorf("%sca: %s holds no certificate", c.Prefix, c.CA), rota.Configure("", "a file in PEM"))
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, fmt.Errorf("%[1]scert and %[1]skey must be set together", c.Prefix)
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("%[1]scert, %[1]skey: %[2]w", c.Prefix, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// Untrusted reports whether an error means that the server's certificate was
// rejected.
func Untrusted(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verification || authority || host || invalid
}
