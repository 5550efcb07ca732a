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
	lists     []*x509.RevocationList
	signed    map[string]*x509.RevocationList // by the authority's certificate; nil where it signed none
	said      map[string]bool                 // what the log says is wrong with the lists
	failed    error                           // the last reading
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
	c.text, c.lists, c.signed, c.said = text, lists, map[string]*x509.RevocationList{}, map[string]bool{}
	return nil
}

// parseCRLs parses one revocation list or several in PEM, and nothing else.
func parseCRLs(text []byte) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, errors.New("contains something else than revocation lists")
		}
		lists, text = append(lists, list), rest
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
	err := errors.New("no chain")
	var problems []listError
	for _, chain := range chains {
		if err = c.checkChain(chain); err == nil {
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

// checkChain returns a [listError] if the lists don't say whether a certificate of the
// chain was revoked.

func (c *clientCRLs) checkChain(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		list, issuer := c.of(chain[i+1]), chain[i+1].Subject
		switch now := c.now(); {
		case list == nil:
			return listError{fmt.Errorf("client_crl has no revocation list of %s", issuer)}
		case list.NextUpdate.IsZero() || now.After(list.NextUpdate):
			return listError{fmt.Errorf("the revocation list of %s expired at %s", issuer, list.NextUpdate.UTC().Format(time.RFC3339))}
		}
		for _, revoked := range list.RevokedCertificateEntries {
			if revoked.SerialNumber.Cmp(chain[i].SerialNumber) == 0 {
				return fmt.Errorf("the certificate was revoked at %s", revoked.RevocationTime.UTC().Format(time.RFC3339))
			}
		}
	}
	return nil
}

// of returns the newest list that an authority signed, nil if there's none.
func (c *clientCRLs) of(authority *x509.Certificate) *x509.RevocationList {
	key := string(authority.Raw)
	list, known := c.signed[key]
	if known {
		return list
	}
	for _, l := range c.lists {
		newer := list == nil || l.ThisUpdate.After(list.ThisUpdate)
		if newer && bytes.Equal(l.RawIssuer, authority.RawSubject) && l.CheckSignatureFrom(authority) == nil {
			list = l
		}
	}
	c.signed[key] = list
	return list
}
