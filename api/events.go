package api

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

	"github.com/cenkalti/backoff/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Event is what happened: an entry of the audit. It holds no value. Its number
// is the event's id, with which a client that was cut off goes on.
type Event struct {
	At         time.Time        `json:"at"`
	Actor      string           `json:"actor"`
	Secret     string           `json:"secret"`
	Step       string           `json:"step" doc:"One of the eight steps, or another act such as adopt, get or notify."`
	Object     string           `json:"object,omitempty" doc:"The target, reloader or notifier concerned."`
	Version    string           `json:"version,omitempty"`
	Credential string           `json:"credential,omitempty" doc:"The issuer's public name of it."`
	Outcome    rotation.Outcome `json:"outcome"`
	Detail     string           `json:"detail,omitempty"`
}

// Heartbeat says that a stream of events is alive.
type Heartbeat struct {
	At time.Time `json:"at"`
}

// NumberedEvent is an event with its number in the audit.
type NumberedEvent struct {
	Seq int64 `json:"seq"`
	Event
}

// silence is how long a stream may send nothing before it is taken for dead:
// the server sends a heartbeat every 15 seconds.
const silence = time.Minute

// Follow calls each for every event from now on, or after the event with a
// given number, until ctx ends or each fails, whose error it returns. It
// reconnects with backoff if the connection is lost or there are too many
// streams, and continues where it was. Secret "" means all secrets.
//
// It returns nil when ctx ends, and an error at once if the server refuses the
// request or there is no token.
func (c *Client) Follow(ctx context.Context, secret string, after int64, each func(NumberedEvent) error) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: 30 * time.Second}
	for {
		began := time.Now()
		err := c.Stream(ctx, StreamRequest{Secret: secret, After: after}, func(e NumberedEvent) error {
			if err := each(e); err != nil {
				return &eachError{err}
			}
			after = e.Seq
			return nil
		})
		_, mine := errors.AsType[*eachError](err)
		_, noToken := errors.AsType[*tokenError](err)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the caller has ended it, which is no failure
		case mine, noToken, errors.Is(err, ErrUsage), errors.Is(err, ErrDenied), errors.Is(err, ErrUnauthenticated):
			return err
		}
		if time.Since(began) > silence {
			pause.Reset()
		}
		wait := pause.NextBackOff()
		if refused, ok := errors.AsType[*Error](err); ok {
			wait = max(wait, refused.RetryAfter)
		}
		if rota.Sleep(ctx, wait) != nil {
			return nil //nolint:nilerr // only the context ends a pause early, and the caller ended it
		}
	}
}

// eachError is what the caller's function said.
type eachError struct{ error }

func (e *eachError) Unwrap() error { return e.error }

// StreamRequest says which events to stream.
type StreamRequest struct {
	// Secret is whose events; "" for all that the caller may see.
	Secret string
	// After is the number of the last event that the caller has; 0 to begin now.
	After int64
	// Connected is called once the stream stands: no event from then on is missed.
	// Defaults to nothing.
	Connected func()
}

// Stream calls each for every event on one connection, until that ends, ctx ends
// or each fails, whose error it returns. [Client.Follow] reconnects as well.
func (c *Client) Stream(ctx context.Context, r StreamRequest, each func(NumberedEvent) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := query{}.text("secret", r.Secret).number("after", r.After)
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
	event := NumberedEvent{}
	kind, data := "", ""
	connected := false
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
					return err
				}
			}
			if !connected && r.Connected != nil { // the server begins with a heartbeat
				r.Connected()
			}
			connected = true
			event, kind, data = NumberedEvent{}, "", ""
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errStreamEnded
}

var errStreamEnded = errors.New("the server ended the stream")
