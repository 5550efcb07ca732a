//go:build !lambda

package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

const (
	maxAnswer = 64 << 10 // bytes of it that are read
	maxError  = 500      // bytes of it that are passed on
)

// witness is the transport for one message. It ends its requests with the
// message's context, limits the responses, and remembers how the last one
// went.
type witness struct {
	ctx  context.Context
	next http.RoundTripper

	mu     sync.Mutex
	answer answer
}

// answer is how a request went.
type answer struct {
	status int
	after  time.Duration // what the service says to wait
	err    error
}

// RoundTrip implements [http.RoundTripper].
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := w.next.RoundTrip(r.WithContext(w.ctx))
	got := answer{}
	switch {
	case err != nil:
		got.err = errors.New("it can't be reached")
	default:
		got.status = a.StatusCode
		a.Body = bounded{io.LimitReader(a.Body, maxAnswer), a.Body}
		if a.StatusCode >= http.StatusMultipleChoices {
			got.err = fmt.Errorf("it answered %d %s", a.StatusCode, http.StatusText(a.StatusCode))
			got.after = rota.RetryAfter(a.Header.Get("Retry-After"), time.Now())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = got
	return a, err
}

func (w *witness) last() answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answer
}

// class says what can be done about a failed request.
func (a answer) class() rota.Class {
	if a.status == 0 {
		return rota.ClassWait
	}
	return rota.ClassOfStatus(a.status)
}

// bounded is a response's body, read up to a limit.
type bounded struct {
	io.Reader
	io.Closer
}
