package api

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

	"github.com/danielgtaylor/huma/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
)

// Problem is an error as RFC 9457 has it, with what to do about it.
type Problem struct {
	// Type tells the kinds apart: "about:blank", or one of ours.
	Type   string `json:"type" doc:"What kind of problem it is."`
	Title  string `json:"title" doc:"The kind, for people."`
	Status int    `json:"status" doc:"The HTTP status."`
	Detail string `json:"detail,omitempty" doc:"What is wrong."`
	Hint   string `json:"hint,omitempty" doc:"What to do about it."`
	// Errors are what is wrong with single fields. They hold no values.
	Errors []FieldError `json:"errors,omitempty" doc:"What is wrong with single fields."`

	retryAfter int // seconds
	err        error
}

// FieldName is the field of a problem with the secret's name in the path.
const FieldName = "path.name"

// FieldError is what is wrong with one field.
type FieldError struct {
	Field  string `json:"field" doc:"Where it is, such as body.secrets[0]."`
	Detail string `json:"detail" doc:"What is wrong with it."`
}

// The kinds of problems.
const (
	TypeUsage    = "urn:rota:problem:usage"  // a mistake in the request; nothing was done
	TypeDenied   = "urn:rota:problem:denied" // the caller may not
	TypeNotFound = "urn:rota:problem:not-found"
	TypeBusy     = "urn:rota:problem:busy"     // another worker is at the secret
	TypeConflict = "urn:rota:problem:conflict" // what is asked for does not fit what is there
	TypeLimited  = "urn:rota:problem:limited"
	TypeFailed   = "urn:rota:problem:failed"
)

func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) Unwrap() error  { return p.err }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType says what kind of JSON it is.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers that go with it.
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

// huma makes its own errors, of requests that are not as described, through
// this variable. The values that it would echo may be secrets.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: message}
		for _, err := range errs {
			if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
				p.Errors = append(p.Errors, FieldError{Field: d.Location, Detail: d.Message})
			}
		}
		return p
	}
}

// problem is an error as the client gets it.
func (a *api) problem(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	detail, hint := service.SplitHint(err.Error())
	p := &Problem{Type: TypeFailed, Status: http.StatusInternalServerError, Detail: detail, Hint: hint, err: err}
	usage, isUsage := errors.AsType[*service.UsageError](err)
	limited, isLimited := errors.AsType[*access.LimitError](err)
	switch {
	case errors.Is(err, access.ErrUnauthenticated):
		*p = Problem{Type: "about:blank", Status: http.StatusUnauthorized, Detail: access.ErrUnauthenticated.Error()}
	case isLimited:
		*p = Problem{Type: TypeLimited, Status: http.StatusTooManyRequests, Detail: "too many requests", retryAfter: int(math.Ceil(limited.RetryAfter.Seconds()))}
	case errors.Is(err, access.ErrDenied):
		p.Type, p.Status = TypeDenied, http.StatusForbidden
	case isUsage:
		p.Type, p.Status = TypeUsage, http.StatusUnprocessableEntity
		p.Detail, p.Hint = service.SplitHint(usage.Error())
	case errors.Is(err, rota.ErrNotFound):
		p.Type, p.Status = TypeNotFound, http.StatusNotFound
	case errors.Is(err, rota.ErrBusy), errors.Is(err, rota.ErrFenced):
		p.Type, p.Status = TypeBusy, http.StatusConflict
	case errors.Is(err, rota.ErrConflict):
		p.Type, p.Status = TypeConflict, http.StatusConflict
	default:
		a.Log.ErrorContext(ctx, "request", "principal", caller(ctx).Principal, "error", rota.Sanitize(err))
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// failed is an operation's error as the client gets it. A secret that is in the
// path and not in the configuration is not found; one that the request names
// elsewhere is a mistake in the request.
func (a *api) failed(ctx context.Context, op huma.Operation, err error) *Problem {
	p := a.problem(ctx, err)
	if usage, ok := errors.AsType[*service.UsageError](err); ok && usage.NoSecret && strings.Contains(op.Path, "{name}") {
		p.Type, p.Status, p.Title = TypeNotFound, http.StatusNotFound, http.StatusText(http.StatusNotFound)
		p.Errors = []FieldError{{Field: FieldName, Detail: "no such secret"}}
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
	_ = json.NewEncoder(w).Encode(p) // a client that has gone is no concern of the server
}

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(r) }

func replay(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
