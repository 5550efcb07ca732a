//go:build !lambda

// Package chat is a notifier for chat and paging services, such as Slack,
// Teams, Discord, Mattermost, Telegram, PagerDuty and Opsgenie, by the URLs
// of shoutrrr (https://shoutrrr.nickfedor.com).
package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/format"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/rota-dev/rota"
)

// Config is one service.
type Config struct {
	Name string // the notifier's
	// URL says which service and room, and contains the token for it:
	// slack://hook:…@webhook, teams://…, discord://token@id. No error includes
	// it.
	URL string
	// Timeout limits one message. Defaults to ten seconds.
	Timeout time.Duration
	// Client sends the requests for services that use HTTP. Defaults to one of
	// its own.
	Client *http.Client
}

// maxText is the tightest limit of any service, Telegram's 4096 characters,
// minus room for what the library adds.
const maxText = 3500

type service struct {
	Config
	kind    string          // of the service: "slack"
	set     map[string]bool // what the URL's query sets
	secrets rota.Credential // the parts of the URL
}

var (
	_ rota.Notifier = (*service)(nil)
	_ rota.Chooser  = (*service)(nil)
)

// New checks the config and returns the notifier. It sends nothing.
func New(c Config) (rota.Notifier, error) {
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	if c.Client == nil {
		c.Client = &http.Client{Timeout: c.Timeout}
	}
	s := &service{Config: c, set: map[string]bool{}, secrets: rota.NewCredential(secrets(c.URL))}
	kind, _, ok := strings.Cut(c.URL, "://")
	if !ok {
		return nil, rota.WithRemedies(fmt.Errorf("chat %s: its url names no service", c.Name), rota.Configure("", "slack://hook:TOKEN@webhook"))
	}
	s.kind, _, _ = strings.Cut(kind, "+")
	if u, err := url.Parse(c.URL); err == nil {
		for name := range u.Query() {
			s.set[strings.ToLower(name)] = true
		}
	}
	sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: c.Client, Timeout: c.Timeout}, c.URL)
	if err != nil || sender == nil {
		return nil, rota.WithRemedies(fmt.Errorf("chat %s: not a url for %s", c.Name, s.name()), rota.Configure("", "https://shoutrrr.nickfedor.com has the form for each service"))
	}
	return s, nil
}

// name is the service's, unless that isn't a plain word: then it could
// contain anything.
func (s *service) name() string {
	if s.kind == "" || strings.Trim(s.kind, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return "a service"
	}
	return s.kind
}

// Name implements [rota.Notifier].
func (s *service) Name() string { return s.Config.Name }

// Notify sends one message, with the event's id. Whether a message that's
// sent again appears twice is up to the service.
func (s *service) Notify(ctx context.Context, e rota.Event) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	text, params := s.message(e)
	seen, err := s.send(ctx, text, params)
	if errors.Is(err, format.ErrInvalidConfigKey) { // a service without titles: the text has it too
		delete(params, "title")
		seen, err = s.send(ctx, text, params)
	}
	return s.fail(err, seen)
}

// send has the library send a message, and returns what was observed of its requests.
func (s *service) send(ctx context.Context, text string, params types.Params) (*witness, error) {
	client := *s.Client
	seen := &witness{ctx: ctx, next: cmp.Or[http.RoundTripper](client.Transport, http.DefaultTransport)}
	client.Transport = seen
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	done := make(chan error, 1)
	go func() {
		sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: &client, Timeout: s.Timeout}, s.URL)
		if err == nil {
			err = errors.Join(sender.Send(text, &params)...)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			err = seen.last().err // some services treat a failure as a success
		}
		return seen, err
	case <-ctx.Done(): // parts of the library that take no context end by their own timeout
		return seen, fmt.Errorf("no response in time: %w", ctx.Err())
	}
}

// fail returns an error without any part of the URL.
func (s *service) fail(err error, seen *witness) error {
	if err == nil {
		return nil
	}
	err = rota.Sanitize(err, s.secrets) // before it's cut short: half a value isn't recognized everywhere
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		err = errors.New(strings.TrimSpace(rota.Clip(err.Error(), maxError)))
	}
	last := seen.last()
	return &rota.Error{
		System: "chat " + s.Config.Name, Connection: s.Config.Name, Op: "send to " + s.name(), Class: last.class(), RetryAfter: last.after,
		Err: err,
	}
}

// secrets are all parts of a URL that may be secret.
func secrets(address string) map[string]string {
	parts := map[string]string{"url": address}
	add := func(text string) {
		if text != "" {
			parts[fmt.Sprint("part", len(parts))] = text
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return parts
	}
	if !strings.Contains(u.Host, ".") {
		add(u.Host) // some services have their token there
	}
	if u.User != nil {
		add(u.User.String())
		add(u.User.Username())
		password, _ := u.User.Password()
		add(password)
		for piece := range strings.SplitSeq(password, "-") {
			add(piece)
		}
	}
	for piece := range strings.SplitSeq(strings.Trim(u.Path, "/"), "/") {
		add(piece)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			add(v)
		}
	}
	add(u.RawQuery)
	return parts
}
