package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rota-dev/rota"
)

// Schema names the format of a [Message]. Fields may be added to it.
const Schema = "rota.event.v1"

// Message is the body of the request.
type Message struct {
	Schema string     `json:"schema"` // [Schema]
	Event  rota.Event `json:"event"`
	Title  string     `json:"title"` // the event in a few words
}

// maxBody is the largest body that is read, in bytes. A digest of a thousand
// events has less.
const maxBody = 4 << 20

// ErrTooLarge means that the body is larger than 4 MiB.
var ErrTooLarge = errors.New("webhook: the body is too large")

// Receiver takes messages that Rota signed. It may be used from several
// goroutines.
type Receiver struct {
	keys [][]byte
	now  func() time.Time
}

// NewReceiver makes a receiver of messages that one of the keys signed, given
// as in rota.yaml. To replace a key, give the receiver the old and the new one,
// change it in rota.yaml, then drop the old one here. It's an error to give no
// key, or one that is shorter than [MinKey].
func NewReceiver(keys ...string) (*Receiver, error) {
	r := &Receiver{now: time.Now}
	for _, text := range keys {
		key, err := ParseKey(text)
		if err != nil {
			return nil, err
		}
		if len(key) < MinKey {
			return nil, rota.WithRemedies(fmt.Errorf("webhook: a key is shorter than %d bytes", MinKey), rota.Outside("openssl rand -base64 32"))
		}
		r.keys = append(r.keys, key)
	}
	if len(r.keys) == 0 {
		return nil, errors.New("webhook: without a key, anyone could send messages")
	}
	return r, nil
}

// Receive reads and verifies a request. The error is [ErrSignature] or
// [ErrTooLarge], or says that the body can't be read or isn't a [Message].
// Nothing of a request that fails may be used.
func (r *Receiver) Receive(req *http.Request) (Message, error) {
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return Message{}, fmt.Errorf("webhook: read the body: %w", err)
	}
	if len(body) > maxBody {
		return Message{}, ErrTooLarge
	}
	if err := Verify(req.Header, body, r.now(), r.keys...); err != nil {
		return Message{}, err
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil || m.Schema != Schema {
		return Message{}, fmt.Errorf("webhook: the body is no %s", Schema)
	}
	return m, nil
}

// Handler calls handle for each message that was verified, and answers 204 if
// it returns nil. If it fails, the answer is 500 and Rota sends the message
// again, with backoff. Requests that can't be verified get 401, bodies that are
// too large 413, and others 400: Rota doesn't repeat those.
//
// A message may arrive more than once: Rota repeats it if the answer was lost,
// and within [Tolerance] so can whoever recorded it. handle must be idempotent,
// or remember the event's ID.
func (r *Receiver) Handler(handle func(ctx context.Context, m Message) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		m, err := r.Receive(req)
		switch {
		case errors.Is(err, ErrSignature):
			http.Error(w, "wrong signature", http.StatusUnauthorized)
		case errors.Is(err, ErrTooLarge):
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		case err != nil:
			http.Error(w, "not a message of Rota's", http.StatusBadRequest)
		case handle(req.Context(), m) != nil:
			http.Error(w, "try again", http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}
