package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/rota-dev/rota/api"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
)

// Problem is an error as sent to the client, plus what only the server needs.
type Problem struct {
	api.Problem

	retryAfter int // seconds
	err        error
}

// retryUnavailable is how many seconds to wait for a store or an identity
// provider that doesn't respond.
const retryUnavailable = 5

func problemOf(p api.Problem) *Problem { return &Problem{Problem: p} }

// Error is the problem's detail.
func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) Unwrap() error  { return p.err }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the kind of JSON it is.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders returns the headers to send with it.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="rota"`)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	return h
}

// huma creates its own errors for invalid requests through this variable.
// The values it would echo may be secrets.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := problemOf(api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: message})
		for _, err := range errs {
			if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
				p.Errors = append(p.Errors, api.FieldError{Field: d.Location, Detail: d.Message})
			}
		}
		return p
	}
}

// problem is an error as sent to the client.
func (a *server) problem(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	p := problemOf(api.Problem{Type: api.TypeFailed, Status: http.StatusInternalServerError})
	p.Detail, p.Hint, p.Remedies = service.Describe(err)
	p.err = err
	usage, isUsage := errors.AsType[*service.UsageError](err)
	limited, isLimited := errors.AsType[*access.LimitError](err)
	switch {
	case errors.Is(err, access.ErrUnauthenticated):
		p = problemOf(api.Problem{Type: "about:blank", Status: http.StatusUnauthorized})
		p.Detail, p.Hint, p.Remedies = service.Describe(access.ErrUnauthenticated)
	case isLimited:
		p = problemOf(api.Problem{Type: api.TypeLimited, Status: http.StatusTooManyRequests, Detail: "too many " + limited.What()})
		p.retryAfter = int(math.Ceil(limited.RetryAfter.Seconds()))
	case errors.Is(err, access.ErrUnavailable): // whoever found that out has logged it
		p.Status, p.retryAfter = http.StatusServiceUnavailable, retryUnavailable
	case errors.Is(err, access.ErrDenied):
		p.Type, p.Status = api.TypeDenied, http.StatusForbidden
		if errors.Is(err, access.ErrUnrecorded) {
			a.Log.ErrorContext(ctx, "audit", "principal", caller(ctx).Principal, "error", rota.Sanitize(err))
		}
	case isUsage:
		p.Type, p.Status = api.TypeUsage, http.StatusUnprocessableEntity
		p.Detail, p.Hint, p.Remedies = service.Describe(usage)
	case errors.Is(err, access.ErrInvalid):
		p.Type, p.Status = api.TypeUsage, http.StatusUnprocessableEntity
	case errors.Is(err, access.ErrExists), errors.Is(err, access.ErrLastAdministrator):
		p.Type, p.Status = api.TypeConflict, http.StatusConflict
	case errors.Is(err, rota.ErrNotFound):
		p.Type, p.Status = api.TypeNotFound, http.StatusNotFound
	case errors.Is(err, rota.ErrBusy), errors.Is(err, rota.ErrFenced):
		p.Type, p.Status = api.TypeBusy, http.StatusConflict
	case errors.Is(err, rota.ErrConflict):
		p.Type, p.Status = api.TypeConflict, http.StatusConflict
	default:
		a.Log.ErrorContext(ctx, "request", "principal", caller(ctx).Principal, "error", rota.Sanitize(err))
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// failed is an operation's error as sent to the client. A secret in the path
// that isn't configured is not found; one named elsewhere in the request is a
// bad request.
func (a *server) failed(ctx context.Context, op huma.Operation, err error) *Problem {
	p := a.problem(ctx, err)
	if usage, ok := errors.AsType[*service.UsageError](err); ok && usage.NoSecret && strings.Contains(op.Path, "{name}") {
		p.Type, p.Status, p.Title = api.TypeNotFound, http.StatusNotFound, http.StatusText(http.StatusNotFound)
		p.Errors = []api.FieldError{{Field: api.FieldName, Detail: "no such secret"}}
	}
	return p
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that's gone doesn't concern the server
}

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(r) }

func bodyOf(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
