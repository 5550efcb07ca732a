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
	reading   bool
	lists     *crlSet // the last that could be read
	failed    error   // the last reading
}

func newClientCRLs(file string, log *slog.Logger, now func() time.Time) (*clientCRLs, error) {
	c := &clientCRLs{file: file, log: log, now: now, checkedAt: time.Now()}
	c.lists, c.failed = readCRLs(file, nil)
	return c, c.failed
}

// get returns the lists in the file. The connection that finds them due for another look
// reads them; meanwhile the others go by those from before, since a long list takes a
// while to parse.
func (c *clientCRLs) get() (*crlSet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading || time.Since(c.checkedAt) < checkCAsEvery {
		return c.lists, c.failed
	}
	c.reading = true
	before := c.lists
	if c.failed != nil {
		before = nil
	}
	c.mu.Unlock()
	lists, err := readCRLs(c.file, before)
	c.mu.Lock()
	if err != nil && c.failed == nil {
		c.log.ErrorContext(context.Background(), "the revocation lists of client certificates can't be read, so no client certificate counts", "error", err)
	}
	c.reading, c.checkedAt, c.lists, c.failed = false, time.Now(), lists, err
	return lists, err
}

// crlSet is the content of a file of revocation lists.
type crlSet struct {
	text  []byte
	lists []*revocations

	mu     sync.Mutex
	signed map[string][]*revocations // by the authority's certificate
	said   map[string]bool           // what the log says is wrong with the lists
}

// readCRLs reads a file, and returns before if that's what it still contains.
func readCRLs(file string, before *crlSet) (*crlSet, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if before != nil && bytes.Equal(text, before.text) {
		return before, nil
	}
	lists, err := parseCRLs(text)
	if err != nil {
		return nil, fmt.Errorf("tls: %s %w", file, err)
	}
	return &crlSet{text: text, lists: lists, signed: map[string][]*revocations{}, said: map[string]bool{}}, nil
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
	lists, err := c.get()
	if err != nil {
		return errors.New("the revocation lists can't be read")
	}
	problems, err := lists.check(chains, c.now())
	for _, p := range problems {
		c.log.ErrorContext(context.Background(), "client certificates aren't accepted", "error", p)
	}
	return err
}

// check also returns what's wrong with the lists, rather than with a certificate, the
// first time that it shows.
func (c *crlSet) check(chains [][]*x509.Certificate, now time.Time) (problems []error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// What's revoked in one chain is revoked in all: an authority in client_ca may also
	// have been certified, and revoked, by another one there.
	for _, chain := range chains {
		if err := c.revoked(chain); err != nil {
			return nil, err
		}
	}
	err = errors.New("no chain")
	for _, chain := range chains {
		if err = c.covered(chain, now); err == nil {
			return nil, nil
		}
		if !c.said[err.Error()] {
			c.said[err.Error()] = true
			problems = append(problems, err)
		}
	}
	return problems, err
}

// revoked returns an error if a list says that a certificate in the chain was revoked.
func (c *crlSet) revoked(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		for _, list := range c.of(chain[i+1]) {
			if at, found := list.revoked[string(chain[i].SerialNumber.Bytes())]; found {
				return fmt.Errorf("the certificate %s was revoked at %s", chain[i].Subject, at.UTC().Format(time.RFC3339))
			}
		}
	}
	return nil
}

// covered returns an error unless there's a current list for each certificate in the
// chain.
func (c *crlSet) covered(chain []*x509.Certificate, now time.Time) error {
	for i := range len(chain) - 1 {
		if err := c.current(chain[i], chain[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

// crlSkew is how far an authority's clock may be ahead.
const crlSkew = 5 * time.Minute

// current returns an error unless an authority has a list, for this certificate of its
// own, that is current. What a list from the future revokes is revoked already, but the
// list doesn't show that nothing else is.
func (c *crlSet) current(cert, authority *x509.Certificate, now time.Time) error {
	why := fmt.Errorf("client_crl has no revocation list of %s", authority.Subject)
	for _, list := range c.of(authority) {
		switch {
		case !list.covers(cert):
		case list.ThisUpdate.After(now.Add(crlSkew)):
			why = fmt.Errorf("the revocation list of %s isn't valid before %s", authority.Subject, list.ThisUpdate.UTC().Format(time.RFC3339))
		case list.NextUpdate.IsZero() || now.After(list.NextUpdate):
			why = fmt.Errorf("the revocation list of %s expired at %s", authority.Subject, list.NextUpdate.UTC().Format(time.RFC3339))
		default:
			return nil
		}
	}
	return why
}

// of returns the lists that an authority signed.
func (c *crlSet) of(authority *x509.Certificate) []*revocations {
	key := string(authority.Raw)
	lists, known := c.signed[key]
	if !known {
		lists = signedBy(authority, c.lists)
		c.signed[key] = lists
	}
	return lists
}
