// Package smtp is a notifier that sends mail.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/rota-dev/rota"
)

// Security is how the connection to the mail server is protected.
type Security string

// The ways.
const (
	STARTTLS Security = "starttls" // a plain connection that must change to TLS
	TLS      Security = "tls"      // TLS from the start
	Plain    Security = "none"     // for a server on this machine
)

// Config is a mail server and the recipients.
type Config struct {
	Name               string // the notifier's
	Host               string
	Port               int      // defaults to 587, 465 with TLS, 25 with Plain
	Security           Security // defaults to STARTTLS
	Username, Password string   // empty if the server requires none
	From               string
	To                 []string
	// RootCAs, if not nil, are the certificate authorities to trust.
	TLSConfig *tls.Config
	// Timeout limits one mail. Defaults to ten seconds.
	Timeout time.Duration
}

type mailer struct{ Config }

var (
	_ rota.Notifier    = (*mailer)(nil)
	_ rota.Preflighter = (*mailer)(nil)
)

// New checks the config and returns the notifier.
func New(c Config) (rota.Notifier, error) {
	refuse := func(hint, format string, args ...any) (rota.Notifier, error) {
		return nil, rota.WithRemedies(fmt.Errorf("smtp %s: %w", c.Name, fmt.Errorf(format, args...)), rota.Configure("", hint))
	}
	c.Security = cmp.Or(c.Security, STARTTLS)
	if c.Host == "" {
		return refuse("", "no host given")
	}
	if c.Port == 0 {
		c.Port = map[Security]int{STARTTLS: 587, TLS: 465, Plain: 25}[c.Security]
	}
	if c.Security == Plain && c.Password != "" {
		return refuse("security: starttls", "without TLS the password could be read in transit")
	}
	if len(c.To) == 0 {
		return refuse("to: [ops@example.org]", "no recipients")
	}
	for _, address := range append([]string{c.From}, c.To...) {
		if _, err := netmail.ParseAddress(address); err != nil {
			return refuse("ops@example.org", "%q is not an address", address)
		}
	}
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	return &mailer{c}, nil
}

// Name implements [rota.Notifier].
func (m *mailer) Name() string { return m.Config.Name }

// Notify sends one mail to all recipients. Its Message-ID is the event's, so
// that repeated mails can be recognized.
func (m *mailer) Notify(ctx context.Context, e rota.Event) error {
	message := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(message.From(m.From), message.To(m.To...)); err != nil {
		return m.fail(rota.ClassStop, "address the mail", err)
	}
	message.Subject(oneLine(e.Title()))
	message.SetDateWithValue(e.At)
	message.SetMessageIDWithValue(e.ID + "@rota")
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetBodyString(mail.TypeTextPlain, e.Text())
	client, err := m.client()
	if err != nil {
		return m.fail(rota.ClassStop, "set up", err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, message); err != nil {
		class := rota.ClassWait
		if e, ok := errors.AsType[*mail.SendError](err); ok && !e.IsTemp() {
			class = rota.ClassStop
		}
		return m.fail(class, "send", err)
	}
	return nil
}

// Preflight logs in, and sends nothing.
func (m *mailer) Preflight(ctx context.Context) []rota.Finding {
	check := fmt.Sprintf("mail server %s:%d", m.Host, m.Port)
	client, err := m.client()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, m.Timeout)
		defer cancel()
		err = client.DialWithContext(ctx)
	}
	if err != nil {
		return []rota.Finding{{Check: check, Detail: m.fail("", "log in", err).Error(), Remedies: rota.Outside("the right host, port, security, username and password")}}
	}
	_ = client.Close() // everything we wanted to know is known
	return []rota.Finding{{OK: true, Check: check, Detail: "responds, and accepts the login"}}
}

func (m *mailer) client() (*mail.Client, error) {
	options := []mail.Option{mail.WithPort(m.Port), mail.WithTimeout(m.Timeout)}
	switch m.Security {
	case TLS:
		options = append(options, mail.WithSSL())
	case Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.TLSConfig != nil {
		c := m.TLSConfig.Clone()
		c.ServerName = cmp.Or(c.ServerName, m.Host)
		options = append(options, mail.WithTLSConfig(c))
	}
	if m.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.Username), mail.WithPassword(m.Password))
	}
	return mail.NewClient(m.Host, options...)
}

// fail removes the password from what a server may have echoed.
func (m *mailer) fail(c rota.Class, op string, err error) error {
	return rota.Sanitize(&rota.Error{System: "smtp " + m.Config.Name, Connection: m.Config.Name, Op: op, Class: c, Err: err},
		rota.NewCredential(map[string]string{"password": m.Password}))
}

// oneLine keeps a subject from becoming more headers.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
