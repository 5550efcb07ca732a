package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/api"
	"github.com/rota-dev/rota/internal/service"
)

// silence is how long a stream may say nothing: the server says every 15
// seconds that it is alive.
const silence = time.Minute

// Event is what happened, with its number in the audit.
type Event struct {
	Seq int64 `json:"seq"`
	api.Event
}

// Follow calls each with what happens from now on, or after an event, until
// ctx ends or each fails. A connection that is lost is made again, and goes on
// where it was. Secret "" is all.
func (c *Client) Follow(ctx context.Context, secret string, after int64, each func(Event) error) error {
	pause := time.Second
	for {
		began := time.Now()
		err := c.follow(ctx, secret, &after, each)
		_, usage := errors.AsType[*service.UsageError](err)
		_, mine := errors.AsType[*eachError](err)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the caller has ended it, which is no failure
		case mine, usage, errors.Is(err, access.ErrDenied), errors.Is(err, access.ErrUnauthenticated):
			return err
		}
		if time.Since(began) > silence {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// eachError is what the caller's function said.
type eachError struct{ error }

func (e *eachError) Unwrap() error { return e.error }

// follow reads one connection's events.
func (c *Client) follow(ctx context.Context, secret string, after *int64, each func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := query{}.text("secret", secret).number("after", *after)
	resp, err := c.send(ctx, http.MethodGet, path("events"), url.Values(q), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp)
	}
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	event := Event{}
	kind, data := "", ""
	for lines.Scan() {
		alive.Reset(silence)
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			kind = value
		case "data":
			data += value
		case "id":
			event.Seq, _ = strconv.ParseInt(value, 10, 64) // the server's own number
		case "":
			if kind == "entry" && data != "" {
				if err := json.Unmarshal([]byte(data), &event.Event); err != nil {
					return fmt.Errorf("ask %s: an event is not what was expected: %w", c.base.Host, err)
				}
				if err := each(event); err != nil {
					return &eachError{err}
				}
				*after = event.Seq
			}
			event, kind, data = Event{}, "", ""
		}
	}
	return lines.Err()
}
