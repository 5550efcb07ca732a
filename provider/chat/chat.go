// Package chat is a notifier that speaks to chat and paging services, such as
// Slack, Teams, Discord, Mattermost, Telegram, PagerDuty and Opsgenie, by the
// URLs of shoutrrr (https://shoutrrr.nickfedor.com).
package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"rota"
)

// Config is one service.
type Config struct {
	Name string // the notifier's
	// URL says which service and room, and holds the token for it:
	// slack://hook:…@webhook, teams://…, discord://token@id. It is in no error.
	URL string
	// Timeout bounds one message. Defaults to ten seconds.
	Timeout time.Duration
	// Client sends the requests of those services that speak HTTP. Defaults to
	// one of its own.
	Client *http.Client
}

type service struct {
	Config
	kind string // of the service: "slack"
}

var _ rota.Notifier = (*service)(nil)

// New checks the config and gives the notifier. Nothing is sent.
func New(c Config) (rota.Notifier, error) {
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	if c.Client == nil {
		c.Client = &http.Client{Timeout: c.Timeout}
	}
	s := &service{Config: c}
	kind, _, ok := strings.Cut(c.URL, "://")
	if !ok {
		return nil, fmt.Errorf("chat %s: its url names no service (try: slack://hook:TOKEN@webhook)", c.Name)
	}
	s.kind, _, _ = strings.Cut(kind, "+")
	sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: c.Client, Timeout: c.Timeout}, c.URL)
	if err != nil || sender == nil {
		return nil, fmt.Errorf("chat %s: not a url for %s (try: https://shoutrrr.nickfedor.com has the form for each service)", c.Name, s.name())
	}
	return s, nil
}

// name is the service's, unless that is no plain word: then it may hold
// anything.
func (s *service) name() string {
	if s.kind == "" || strings.Trim(s.kind, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return "a service"
	}
	return s.kind
}

// Name implements [rota.Notifier].
func (s *service) Name() string { return s.Config.Name }

// Notify sends one message. Whether a service that got it shows it twice when
// it is sent again is the service's affair: the event's id is in the text.
func (s *service) Notify(ctx context.Context, e rota.Event) error {
	client := *s.Client
	seen := &witness{next: client.Transport}
	client.Transport = seen
	sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: &client, Timeout: s.Timeout}, s.URL)
	if err != nil {
		return s.fail(errors.New("its url is not taken any more"))
	}
	params := types.Params{}
	params.SetTitle(e.Title())
	done := make(chan error, 1)
	go func() { done <- errors.Join(sender.Send(e.Text(), &params)...) }()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	select {
	case err = <-done:
		if err == nil {
			err = seen.last() // some services take a failure for a success
		}
	case <-ctx.Done(): // the library takes no context, but ends by its own timeout
		err = fmt.Errorf("no answer in time: %w", ctx.Err())
	}
	return s.fail(err)
}

// witness remembers how the last request went.
type witness struct {
	next http.RoundTripper

	mu  sync.Mutex
	err error
}

// RoundTrip implements [http.RoundTripper].
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	next := w.next
	if next == nil {
		next = http.DefaultTransport
	}
	a, err := next.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.err = errors.New("it can't be reached")
	case a.StatusCode >= http.StatusBadRequest:
		w.err = fmt.Errorf("it answered %d %s", a.StatusCode, http.StatusText(a.StatusCode))
	default:
		w.err = nil
	}
	return a, err
}

func (w *witness) last() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// fail gives an error without the parts of the URL.
func (s *service) fail(err error) error {
	if err == nil {
		return nil
	}
	out := error(&rota.Error{System: "chat " + s.Config.Name, Op: "send to " + s.name(), Class: rota.Wait, Err: err})
	return rota.Sanitize(out, rota.NewCredential(secrets(s.URL)))
}

// secrets are all parts of a URL that may be one.
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
