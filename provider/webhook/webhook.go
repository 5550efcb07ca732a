// Package webhook is a notifier that posts each event as JSON, signed as the
// Standard Webhooks specification says (standardwebhooks.com). Receivers
// verify it with package webhook.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/webhook"
)

// Config is an address to post to.
type Config struct {
	// Name is the notifier's name, such as "ops".
	Name string
	// URL is the address. It may contain a secret, so no error includes it.
	URL string
	// Keys sign. With several, each signs, so that a receiver can move from
	// one to the next. At least one is required.
	Keys [][]byte
	// Headers are sent in addition to Rota's own.
	Headers map[string]string
	// AllowPrivate allows addresses on private networks and on this machine,
	// and posting without TLS.
	AllowPrivate bool
	// Timeout limits one request. Defaults to ten seconds.
	Timeout time.Duration
	// Reach decides which addresses may be reached, instead of AllowPrivate; nil for
	// what that says.
	Reach provider.Reach
	// Now is the clock of the signatures. Defaults to time.Now.
	Now func() time.Time
}

type hook struct {
	Config
	client *http.Client
}

var (
	_ rota.Notifier    = (*hook)(nil)
	_ rota.Preflighter = (*hook)(nil)
)

// New checks the config and returns the notifier.
func New(c Config) (rota.Notifier, error) {
	refuse := func(what, hint string) (rota.Notifier, error) {
		return nil, rota.WithRemedies(fmt.Errorf("webhook %s: %s", c.Name, what), rota.Configure("", hint))
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return refuse("its url is not an address", "https://hooks.example.org/rota")
	}
	if u.Scheme == "http" && !c.AllowPrivate {
		return refuse("without TLS anyone on the network path can read and change the events", "https")
	}
	if len(c.Keys) == 0 {
		return refuse("no key to sign with", "rota's events are only as good as their signature: keys: [\"${file:...}\"]")
	}
	for _, k := range c.Keys {
		if len(k) < webhook.MinKey {
			return refuse("a key is shorter than 16 bytes", "openssl rand -base64 32")
		}
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	dialer := c.Reach.Dialer(c.Timeout)
	if c.Reach == nil && !c.AllowPrivate {
		dialer.ControlContext = provider.PublicOnly
	}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: c.Timeout,
		MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	return &hook{Config: c, client: &http.Client{
		Transport: transport, Timeout: c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name implements [rota.Notifier].
func (h *hook) Name() string { return h.Config.Name }

// Notify posts the event. Any 2xx response accepts it. Errors that a retry
// can't fix, such as 410, are of class [rota.ClassStop].
func (h *hook) Notify(ctx context.Context, e rota.Event) error {
	body, err := json.Marshal(webhook.Message{Schema: webhook.Schema, Event: e, Title: e.Title()})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return h.fail(rota.ClassStop, errors.New("its url is not an address"))
	}
	for name, value := range h.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "rota")
	webhook.Sign(r.Header, e.ID, body, h.Now(), h.Keys...)
	a, err := h.client.Do(r)
	if err != nil {
		return h.fail(rota.ClassWait, unreachable(err))
	}
	defer func() { _ = a.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 64<<10)) // so that the connection can be reused
	switch {
	case a.StatusCode/100 == 2:
		return nil
	case a.StatusCode == http.StatusTooManyRequests, a.StatusCode == http.StatusRequestTimeout, a.StatusCode/100 == 5:
		return h.fail(rota.ClassWait, fmt.Errorf("it answered %s", status(a)))
	}
	return h.fail(rota.ClassStop, fmt.Errorf("it answered %s", status(a)))
}

// status is only the code: the text may be anything.
func status(a *http.Response) string {
	return strconv.Itoa(a.StatusCode) + " " + http.StatusText(a.StatusCode)
}

// unreachable says why there was no response, without the address.
func unreachable(err error) error {
	if errors.Is(err, provider.ErrPrivate) {
		return rota.WithRemedies(provider.ErrPrivate, rota.Configure("", "allow_private: true, if that is meant"))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no response in time: %w", context.DeadlineExceeded)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("it can't be reached: %w", e.Err)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if _, dns := errors.AsType[*net.DNSError](e.Err); dns {
			return errors.New("its name can't be looked up")
		}
	}
	return errors.New("it can't be reached")
}

func (h *hook) fail(c rota.Class, err error) error {
	return &rota.Error{System: "webhook " + h.Config.Name, Connection: h.Config.Name, Op: "post", Class: c, Err: err}
}

// Preflight checks that the name resolves. It posts nothing.
func (h *hook) Preflight(ctx context.Context) []rota.Finding {
	check := "webhook " + h.Config.Name
	u, _ := url.Parse(h.URL) // New has read it
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return []rota.Finding{{Check: check, Detail: "its name can't be looked up", Remedies: rota.Outside("the right url")}}
	}
	for _, a := range addresses {
		if h.Reach != nil {
			if err := h.Reach(ctx, "tcp", netip.AddrPortFrom(a, 0).String(), nil); err != nil {
				return []rota.Finding{{Check: check, Detail: err.Error()}}
			}
			continue
		}
		if !h.AllowPrivate && !provider.PublicAddress(a) {
			return []rota.Finding{{Check: check, Detail: provider.ErrPrivate.Error(), Remedies: rota.Outside("allow_private: true, if that is meant")}}
		}
	}
	return []rota.Finding{{OK: true, Check: check, Detail: "its name resolves; the first event will show whether it accepts events"}}
}
