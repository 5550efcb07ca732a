package daemon

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// clientCRLs are the revocation lists of the authorities of client certificates, from
// a file that something else renews.
type clientCRLs struct {
	file string
	log  *slog.Logger
	now  func() time.Time // of the lists

	mu        sync.Mutex
	checkedAt time.Time
	text      []byte // the file as it was read
	lists     []*revocations
	signed    map[string][]*revocations // by the authority's certificate
	said      map[string]bool           // what the log says is wrong with the lists
	failed    error                     // the last reading
}

func newClientCRLs(file string, log *slog.Logger, now func() time.Time) (*clientCRLs, error) {
	c := &clientCRLs{file: file, log: log, now: now, checkedAt: time.Now()}
	c.failed = c.read()
	return c, c.failed
}

// read reads the file, unless it's as it was.
func (c *clientCRLs) read() error {
	text, err := os.ReadFile(c.file)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if c.failed == nil && c.text != nil && bytes.Equal(text, c.text) {
		return nil
	}
	lists, err := parseCRLs(text)
	if err != nil {
		return fmt.Errorf("tls: %s %w", c.file, err)
	}
	c.text, c.lists, c.signed, c.said = text, lists, map[string][]*revocations{}, map[string]bool{}
	return nil
}

// parseCRLs parses one revocation list or several in PEM, and nothing else.
func parseCRLs(text []byte) ([]*revocations, error) {
	var lists []*revocations
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, errors.New("contains something else than revocation lists")
		}
		lists, text = append(lists, newRevocations(list)), rest
	}
	switch {
	case len(lists) == 0:
		return nil, errors.New("contains no revocation list in PEM")
	case len(bytes.TrimSpace(text)) > 0:
		return nil, errors.New("ends with something else than a revocation list")
	}
	return lists, nil
}

// check returns an error unless, in one of a certificate's chains, the lists say that
// nothing was revoked. Without a list that can be read and is current, nobody knows
// that: nobody gets in.
func (c *clientCRLs) check(chains [][]*x509.Certificate) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checkedAt) >= checkCAsEvery {
		c.checkedAt = time.Now()
		before := c.failed
		c.failed = c.read()
		if c.failed != nil && before == nil {
			c.log.ErrorContext(context.Background(), "the revocation lists of client certificates can't be read, so no client certificate counts", "error", c.failed)
		}
	}
	if c.failed != nil {
		return errors.New("the revocation lists can't be read")
	}
	// What's revoked in one chain is revoked in all: an authority in client_ca may also
	// have been certified, and revoked, by another one there.
	for _, chain := range chains {
		if err := c.revoked(chain); err != nil {
			return err
		}
	}
	err := errors.New("no chain")
	var problems []listError
	for _, chain := range chains {
		if err = c.covered(chain); err == nil {
			return nil
		}
		if p, ok := errors.AsType[listError](err); ok {
			problems = append(problems, p)
		}
	}
	c.report(problems)
	return err
}

// listError is what's wrong with the lists, rather than with a certificate.
type listError struct{ error }

// report logs what's wrong with the lists, once for each file.
func (c *clientCRLs) report(problems []listError) {
	for _, p := range problems {
		if !c.said[p.Error()] {
			c.said[p.Error()] = true
			c.log.ErrorContext(context.Background(), "client certificates aren't accepted", "error", p.error)
		}
	}
}

// revoked returns an error if a list says that a certificate in the chain was revoked.
func (c *clientCRLs) revoked(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		for _, list := range c.of(chain[i+1]) {
			if at, found := list.revoked[string(chain[i].SerialNumber.Bytes())]; found {
				return fmt.Errorf("the certificate %s was revoked at %s", chain[i].Subject, at.UTC().Format(time.RFC3339))
			}
		}
	}
	return nil
}

// covered returns a [listError] unless there's a current list for each certificate in
// the chain.
func (c *clientCRLs) covered(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		if err := c.current(chain[i], chain[i+1]); err != nil {
			return listError{err}
		}
	}
	return nil
}

// current returns an error unless an authority has a list, for this certificate of its
// own, that is current.
func (c *clientCRLs) current(cert, authority *x509.Certificate) error {
	why := fmt.Errorf("client_crl has no revocation list of %s", authority.Subject)
	for _, list := range c.of(authority) {
		if !list.covers(cert) {
			continue
		}
		if !list.NextUpdate.IsZero() && !c.now().After(list.NextUpdate) {
			return nil
		}
		why = fmt.Errorf("the revocation list of %s expired at %s", authority.Subject, list.NextUpdate.UTC().Format(time.RFC3339))
	}
	return why
}

// of returns the lists that an authority signed.
func (c *clientCRLs) of(authority *x509.Certificate) []*revocations {
	key := string(authority.Raw)
	lists, known := c.signed[key]
	if !known {
		lists = signedBy(authority, c.lists)
		c.signed[key] = lists
	}
	return lists
}
