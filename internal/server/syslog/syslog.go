// Package syslog sends the audit's entries to a syslog server, each as one
// message of RFC 5424 whose text is the entry as JSON: over TCP or TLS with
// octet counting (RFC 6587, RFC 5425), or one datagram each over UDP (RFC 5426).
package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// Client sends messages. It is for one goroutine.
type Client struct {
	network, address string
	tls              *tls.Config
	host             string
	conn             net.Conn
	dial             net.Dialer
}

// New creates a client for tcp://host:port, tls://host:port or
// udp://host:port. It connects once there's something to send.
func New(address string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Path != "" {
		return nil, rota.WithRemedies(fmt.Errorf("syslog: %q is not an address", address), rota.Outside("tls://logs.example.org:6514"))
	}
	c := &Client{network: u.Scheme, address: u.Host, dial: net.Dialer{Timeout: 10 * time.Second}}
	switch u.Scheme {
	case "tls":
		c.network, c.tls = "tcp", &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	case "tcp", "udp":
	default:
		return nil, rota.WithRemedies(fmt.Errorf("syslog: unknown protocol %q", u.Scheme), rota.Outside("tls, tcp, udp"))
	}
	if u.Port() == "" {
		port := "514"
		if c.tls != nil {
			port = "6514"
		}
		c.address = net.JoinHostPort(u.Hostname(), port)
	}
	if c.host, err = os.Hostname(); err != nil || c.host == "" {
		c.host = "-"
	}
	return c, nil
}

// sendTimeout limits how long sending a batch may take.
const sendTimeout = 30 * time.Second

// Send sends entries in order. After an error, some may have arrived: send
// them all again, and the receiver recognizes duplicates by their numbers.
func (c *Client) Send(ctx context.Context, records []store.AuditRecord) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	err := c.write(records)
	if err != nil {
		err = errors.Join(fmt.Errorf("syslog: %w", err), c.Close())
	}
	return err
}

func (c *Client) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	conn, err := c.dial.DialContext(ctx, c.network, c.address)
	if err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	if c.tls != nil {
		secure := tls.Client(conn, c.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return errors.Join(fmt.Errorf("syslog: %w", err), conn.Close())
		}
		conn = secure
	}
	c.conn = conn
	return nil
}

func (c *Client) write(records []store.AuditRecord) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	if c.network == "udp" {
		for _, r := range records {
			text, err := c.message(r)
			if err != nil {
				return err
			}
			if _, err := c.conn.Write(text); err != nil {
				return err
			}
		}
		return nil
	}
	w := bufio.NewWriter(c.conn)
	for _, r := range records {
		text, err := c.message(r)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%d %s", len(text), text); err != nil {
			return err
		}
	}
	return w.Flush()
}

// The priorities: facility 13, log audit, with a severity.
const (
	facility = 13 * 8
	warning  = 4
	notice   = 5
)

// message is an entry in RFC 5424 form.
func (c *Client) message(r store.AuditRecord) ([]byte, error) {
	severity := notice
	if r.Entry.Outcome == rotation.OutcomeDenied || r.Entry.Outcome == rotation.OutcomeFailed {
		severity = warning
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	at := r.Entry.At.UTC().Format("2006-01-02T15:04:05.000000Z")
	return fmt.Appendf(nil, "<%d>1 %s %s rota %d audit - %s", facility+severity, at, c.host, os.Getpid(), text), nil
}

// Close ends the connection. The next Send opens another.
func (c *Client) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}
