package remote

import (
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
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/api"
	"github.com/rota-dev/rota/internal/service"
)

// answered is what the server said, as one of the errors that callers tell
// apart.
type answered struct {
	text string
	is   error // nil for none of them
}

func (e *answered) Error() string { return e.text }
func (e *answered) Unwrap() error { return e.is }

// refusal is the error of an answer that is none of success.
func (c *Client) refusal(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var p api.Problem
	if err != nil || json.Unmarshal(text, &p) != nil || p.Status == 0 {
		return fmt.Errorf("ask %s: it answered %s, and not as Rota does (try: look at the server's address)", c.base.Host, resp.Status)
	}
	told := p.Detail
	if told == "" {
		told = p.Title
	}
	noSecret := p.Type == api.TypeNotFound && slices.ContainsFunc(p.Errors, func(f api.FieldError) bool { return f.Field == api.FieldName })
	for _, f := range p.Errors {
		if !noSecret { // that is what the detail says
			told += "; " + f.Field + ": " + f.Detail
		}
	}
	if p.Hint != "" {
		told += " (try: " + p.Hint + ")"
	}
	switch {
	case noSecret:
		return &service.UsageError{Err: errors.New(told), NoSecret: true}
	case p.Type == api.TypeUsage, p.Type == "about:blank" && (p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusBadRequest):
		return &service.UsageError{Err: errors.New(told)}
	case p.Type == api.TypeDenied:
		return &answered{told, access.ErrDenied}
	case p.Type == api.TypeNotFound:
		return &answered{told, rota.ErrNotFound}
	case p.Type == api.TypeBusy:
		return &answered{told, rota.ErrBusy}
	case p.Type == api.TypeConflict:
		return &answered{told, rota.ErrConflict}
	case p.Status == http.StatusUnauthorized:
		return &answered{strings.TrimSpace(told), access.ErrUnauthenticated}
	case p.Status == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 where it says nothing
		return &access.LimitError{RetryAfter: time.Duration(seconds) * time.Second}
	}
	return &answered{text: told}
}
