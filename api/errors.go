package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// What the server refused, for [errors.Is]. An [*Error] is also
// [rota.ErrNotFound], [rota.ErrBusy] and [rota.ErrConflict].
var (
	// ErrUsage: a mistake in the request. Nothing was done.
	ErrUsage = errors.New("mistake in the request")
	// ErrDenied: the caller isn't allowed to. Nothing was done.
	ErrDenied = errors.New("not allowed")
	// ErrUnauthenticated: the server doesn't accept the token or certificate.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrLimited: too many requests; see [Error].RetryAfter.
	ErrLimited = errors.New("too many requests")
)

// Error is a request that the server refused or that failed there.
type Error struct {
	Problem
	// RetryAfter is how long the server says to wait; 0 if it doesn't say.
	RetryAfter time.Duration
}

// Error is the problem's detail with its fields.
func (e *Error) Error() string {
	text := cmp.Or(e.Detail, e.Title, strings.ToLower(http.StatusText(e.Status)))
	if !e.noSecret() { // the detail says that already
		for _, f := range e.Errors {
			text += "; " + f.Field + ": " + f.Detail
		}
	}
	return text
}

// Remedies are what a person can do about it, for [rota.RemediesOf].
func (e *Error) Remedies() []rota.Remedy {
	switch {
	case e.Status == http.StatusTooManyRequests && e.RetryAfter > 0:
		return []rota.Remedy{{Action: rota.RemedyWait, Text: "again in " + e.RetryAfter.String()}}
	case len(e.Problem.Remedies) > 0:
		return e.Problem.Remedies
	}
	return rota.Outside(e.Hint)
}

// Is reports whether the problem is of the kind that target stands for. A
// secret that isn't configured is both [ErrUsage] and [rota.ErrNotFound].
func (e *Error) Is(target error) bool {
	return target != nil && (target == e.kind() || target == rota.ErrNotFound && e.noSecret())
}

// noSecret tells that the configuration has no secret of the name in the path.
func (e *Error) noSecret() bool {
	return e.Type == TypeNotFound && slices.ContainsFunc(e.Errors, func(f FieldError) bool { return f.Field == FieldName })
}

// kind is the error that the problem stands for; nil for a failure.
func (e *Error) kind() error {
	switch {
	case e.noSecret(), e.Type == TypeUsage:
		return ErrUsage
	case e.Type == TypeDenied:
		return ErrDenied
	case e.Type == TypeNotFound:
		return rota.ErrNotFound
	case e.Type == TypeBusy:
		return rota.ErrBusy
	case e.Type == TypeConflict:
		return rota.ErrConflict
	case e.Status == http.StatusUnauthorized:
		return ErrUnauthenticated
	case e.Status == http.StatusTooManyRequests:
		return ErrLimited
	case e.Type == "about:blank" && (e.Status == http.StatusUnprocessableEntity || e.Status == http.StatusBadRequest):
		return ErrUsage // a request that doesn't match the API's description
	}
	return nil
}

// refusal is the error of an answer without a 2xx status.
func (c *Client) refusal(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	e := &Error{}
	if err != nil || json.Unmarshal(text, &e.Problem) != nil || e.Status == 0 {
		return rota.WithRemedies(fmt.Errorf("ask %s: it answered %s, and not as Rota does", c.base.Host, resp.Status), rota.Outside("look at the server's address"))
	}
	e.Detail = strings.TrimSpace(e.Detail)
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 if it doesn't say
	e.RetryAfter = time.Duration(seconds) * time.Second
	return e
}
