package parcel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// Client talks to one Parcel as its administrator.
type Client struct {
	name  string // the connection's, for errors
	url   string
	token string
	http  *http.Client
}

// NewClient makes a client without touching the network.
func NewClient(name, address, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("connection %s: its url is no address", name)
	}
	return &Client{name: name, url: strings.TrimSuffix(address, "/"), token: token, http: &http.Client{Timeout: 30 * time.Second}}, nil
}

// errAdminRefused is what Parcel says about the connection's own token.
var errAdminRefused = errors.New("the administrator's token is not valid")

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 1 << 20

// Sentences that errors begin with say what was tried. They never hold a value.
func (c *Client) fail(op string, class rota.Class, err error) error {
	return &rota.Error{System: "parcel " + c.name, Connection: c.name, Op: op, Class: class, Err: err}
}

// do sends a request as the administrator, or with another token. A 404 is
// [rota.ErrNotFound], a 409 [rota.ErrConflict].
func (c *Client) do(ctx context.Context, op, token, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return c.fail(op, rota.ClassStop, err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return c.fail(op, rota.ClassStop, errors.New("the address is wrong"))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.http.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // without the address
		}
		return c.fail(op, rota.ClassWait, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusUnauthorized && token != c.token:
		return c.fail(op, rota.ClassStop, rota.ErrRefused)
	case resp.StatusCode == http.StatusUnauthorized:
		// This isn't ErrRefused: the secret's own credential may well be good.
		return rota.WithRemedies(c.fail(op, rota.ClassStop, errAdminRefused), rota.Outside("give connection "+c.name+" a valid administrator's token"))
	case resp.StatusCode == http.StatusNotFound:
		return c.fail(op, rota.ClassStop, rota.ErrNotFound)
	case resp.StatusCode == http.StatusConflict:
		return c.fail(op, rota.ClassStop, rota.ErrConflict)
	case resp.StatusCode/100 != 2:
		// ClassOfStatus knows which answers are worth a retry, and RetryAfter when.
		return &rota.Error{
			System: "parcel " + c.name, Connection: c.name, Op: op, Class: rota.ClassOfStatus(resp.StatusCode),
			RetryAfter: rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now()), Err: fmt.Errorf("it answered %s", resp.Status),
		}
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return c.fail(op, rota.ClassWait, errors.New("its answer is not what was expected"))
	}
	return nil
}

// path is a path of segments that are escaped each by itself.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}
