package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

// tls is the server side of TLS 1.2 and later, with a certificate and authorities
// that are reloaded when their files change.
func (d *Daemon) tls() (*tls.Config, error) {
	pair := &keyPair{certFile: d.settings.CertFile, keyFile: d.settings.KeyFile}
	if _, err := pair.get(); err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("tls: %w", err), rota.Outside("server: {tls: {cert: ..., key: ...}}"))
	}
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get() },
	}
	if d.clientCAs == nil {
		return c, nil
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		own := c.Clone()
		own.ClientCAs, _ = d.clientCAs.get()
		return own, nil
	}
	return c, nil
}

// keyPair is a certificate and its key, from files that something else renews.
type keyPair struct {
	certFile, keyFile string

	mu        sync.Mutex
	checkedAt time.Time
	cert, key []byte // the files as they were read
	pair      *tls.Certificate
}

// get returns the newest complete pair. It reads the files once a minute at
// most.
func (k *keyPair) get() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pair != nil && time.Since(k.checkedAt) < time.Minute {
		return k.pair, nil
	}
	k.checkedAt = time.Now()
	pair, err := k.read()
	if err != nil && k.pair == nil {
		return nil, err
	}
	if err == nil { // otherwise it's half renewed: the old one still works
		k.pair = pair
	}
	return k.pair, nil
}

// read looks at what the files hold, not at their times: a renewed certificate
// may be older than the one it replaces.
func (k *keyPair) read() (*tls.Certificate, error) {
	cert, err := os.ReadFile(k.certFile)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(k.keyFile)
	if err != nil {
		return nil, err
	}
	if k.pair != nil && bytes.Equal(cert, k.cert) && bytes.Equal(key, k.key) {
		return k.pair, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err == nil {
		k.cert, k.key = cert, key
	}
	return &pair, err
}

// clientCAs are the authorities of client certificates, from a file.
type clientCAs struct {
	file string
	log  *slog.Logger
	now  func() time.Time // of certificates
	crls *clientCRLs      // nil if no lists are configured

	mu        sync.Mutex
	checkedAt time.Time
	text      []byte // the file as it was read
	pool      *x509.CertPool
	replaced  bool  // since the first connection
	failed    error // the last reading
}

// checkCAsEvery is how often the file is read at most: who's removed from it must
// not get in for longer than with any other change of access.
const checkCAsEvery = 5 * time.Second

func newClientCAs(file string, log *slog.Logger, now func() time.Time) (*clientCAs, error) {
	c := &clientCAs{file: file, log: log, now: now, checkedAt: time.Now()}
	var err error
	c.text, c.pool, err = c.read()
	return c, err
}

func (c *clientCAs) read() ([]byte, *x509.CertPool, error) {
	text, err := os.ReadFile(c.file)
	if err != nil {
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("tls: %s contains no certificate", c.file)
	}
	return text, pool, nil
}

// get returns the authorities in the file, and whether they aren't those of the
// start any more. A file that can't be read changes nothing.
func (c *clientCAs) get() (pool *x509.CertPool, replaced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checkedAt) < checkCAsEvery {
		return c.pool, c.replaced
	}
	c.checkedAt = time.Now()
	text, pool, err := c.read()
	switch {
	case err != nil && c.failed == nil:
		c.log.ErrorContext(context.Background(), "the authorities of client certificates can't be read, so those that were read before count", "error", err)
	case err == nil && !bytes.Equal(text, c.text):
		c.text, c.pool, c.replaced = text, pool, true
		c.log.InfoContext(context.Background(), "the authorities of client certificates have changed", "file", c.file)
	}
	c.failed = err
	return c.pool, c.replaced
}

// trust returns an error if none of the authorities signed a connection's
// certificate, or one of them has revoked it. The handshake made sure of the first,
// but connections outlive it, and so do the sessions that they resume.
func (c *clientCAs) trust(state *tls.ConnectionState) error {
	pool, replaced := c.get()
	if !replaced && c.crls == nil {
		return nil
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("no client certificate")
	}
	// An authority that another one certified makes a chain with it as well: only that
	// one's list shows whether it was revoked.
	between := pool.Clone()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	chains, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, CurrentTime: c.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil || c.crls == nil {
		return err
	}
	return c.crls.check(chains)
}
