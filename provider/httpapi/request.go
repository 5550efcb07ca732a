package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Request is one request.
type Request struct {
	// Op is what it's for, for people: "list each token orders".
	Op string
	// Method and Path are the request's. The path is below the connection's address,
	// with its segments escaped as [Path] does.
	Method, Path string
	Query        url.Values
	// Body is sent as JSON; nil for none.
	Body any
	// As is the Authorization header of a credential that's tried, in place of the
	// connection's own.
	As string
	// Needs is what the connection's login must be allowed for it, in words that go on
	// after "give the login".
	Needs string
}

// Path is a path of segments that are escaped each by itself.
func Path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// Do makes one request, and never a second. Its answer's JSON goes into out, unless
// that's nil; null is no answer. A 404 is [rota.ErrNotFound], a 409 [rota.ErrConflict], and a 401 for a
// credential that's tried [rota.ErrRefused].
func (c *Connection) Do(ctx context.Context, q Request, out any) error {
	r, err := c.request(ctx, q)
	if err != nil {
		return err
	}
	e := &rota.Error{System: c.System(), Connection: c.name, Op: q.Op}
	if err := c.take(ctx); err != nil {
		e.Class, e.Err = rota.ClassWait, err
		return e
	}
	resp, err := c.http.Do(r)
	if err != nil {
		provider.Unanswered(e, err, c.system.Name, c.url.Host, "url")
		return e
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		c.refusal(e, q, resp, text)
		return e
	case err != nil && provider.TimedOut(err):
		provider.Unanswered(e, err, c.system.Name, c.url.Host, "url")
		return e
	case err != nil, out != nil && (json.Unmarshal(text, out) != nil || string(bytes.TrimSpace(text)) == "null"):
		return c.Unreadable(q.Op)
	}
	return nil
}

func (c *Connection) request(ctx context.Context, q Request) (*http.Request, error) {
	var body io.Reader
	if q.Body != nil {
		text, err := json.Marshal(q.Body)
		if err != nil {
			return nil, c.Refuse(q.Op, "correct what's JSON in rota.yaml", errors.New("the request can't be written as JSON"))
		}
		body = bytes.NewReader(text)
	}
	to, err := url.Parse(strings.TrimSuffix(c.url.String(), "/") + q.Path)
	if err != nil {
		return nil, c.Refuse(q.Op, "correct the names in rota.yaml", errors.New("they don't make an address"))
	}
	to.RawQuery = q.Query.Encode()
	r, err := http.NewRequestWithContext(ctx, q.Method, to.String(), body)
	if err != nil {
		return nil, c.Refuse(q.Op, "correct the connection's url", errors.New("the address can't be used"))
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "rota")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	login := c.cfg.Authorization
	if q.As != "" {
		login = q.As
	}
	if login != "" {
		r.Header.Set("Authorization", login)
	}
	return r, nil
}

// refusal sets the class, the remedies and the error for an answer that isn't a success.
func (c *Connection) refusal(e *rota.Error, q Request, resp *http.Response, text []byte) {
	read, status := c.system.MessageOf, resp.StatusCode
	if read == nil {
		read = messageOf
	}
	said := &provider.Answer{Status: status, Message: provider.Said(read(text))}
	e.Class, e.Err, e.RetryAfter = rota.ClassOfStatus(status), said, rota.RetryAfter(resp.Header.Get("Retry-After"), c.Now())
	hint := ""
	switch {
	case status == http.StatusUnauthorized && q.As != "":
		e.Class, said.Is = rota.ClassWait, rota.ErrRefused // it may not be known everywhere yet
	case status == http.StatusUnauthorized:
		hint = fmt.Sprintf("give connection %s a valid %s: its own is wrong, expired or turned off", c.name, c.system.login())
	case status == http.StatusForbidden && q.As == "":
		hint = "give the login of connection " + c.name + " " + cmp.Or(q.Needs, "the permission for it")
	case status == http.StatusNotFound:
		said.Is = rota.ErrNotFound
		hint = fmt.Sprintf("check the names and numbers in rota.yaml, and that the url of connection %s leads to %s", c.name, c.system.Name)
	case status == http.StatusConflict:
		said.Is = rota.ErrConflict
		hint = "see what else changes it at the same time, such as Terraform or another Rota"
	case status < http.StatusBadRequest:
		hint = "write the url of connection " + c.name + " as it is now: it redirects to another, and Rota follows no redirect with its login"
	case e.Class == rota.ClassStop:
		hint = provider.RemedyFor(said.Message, c.name, c.system.Refusals, "do what the message says")
	}
	if hint != "" {
		e.Remedies = rota.Outside(hint)
	}
	if c.system.Explain != nil {
		c.system.Explain(e, q, said)
	}
}

// messageOf is what a refusal says in one of the usual forms, "" if it's in none.
func messageOf(text []byte) string {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return ""
	}
	return words(v)
}

func words(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			if text := words(one); text != "" {
				all = append(all, text)
			}
		}
		return strings.Join(all, "; ")
	case map[string]any:
		for _, key := range []string{"message", "error", "errors"} {
			if text := words(v[key]); text != "" {
				return text
			}
		}
	}
	return ""
}

// MaxPages is how many pages [Pages] asks for.
const MaxPages = 50

// ErrTooMany means that a list has more pages than that.
var ErrTooMany = fmt.Errorf("the list has more than %d pages", MaxPages)

// Pages calls list for one page after the other, from 1. It returns the number of the
// next one, or one that isn't higher if there's none.
func Pages[T any](list func(page int) (part []T, next int, err error)) ([]T, error) {
	var all []T
	for page := 1; page <= MaxPages; {
		part, next, err := list(page)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		if next <= page {
			return all, nil
		}
		page = next
	}
	return nil, ErrTooMany
}
