package rabbitmq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// call is one request to the management API.
type call struct {
	op     string // for people: "set password of user orders"
	method string
	path   string // below /api, escaped
	body   any
	login  rota.Credential   // instead of the connection's own
	used   []rota.Credential // that no error may show
}

// path is a path whose segments are escaped.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// shell is a name as a shell takes it.
func shell(name string) string {
	if strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-/@", r)
	}) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// get reads something.
func (c *Connection) get(ctx context.Context, op, path string, answer any) error {
	return c.do(ctx, call{op: op, method: http.MethodGet, path: path}, answer)
}

// do sends a request and reads its answer's JSON into answer, if that's not nil.
func (c *Connection) do(ctx context.Context, k call, answer any) error {
	text, err := json.Marshal(k.body)
	if err != nil {
		return c.stop(k.op, err, nil)
	}
	r, err := http.NewRequestWithContext(ctx, k.method, c.api+k.path, bytes.NewReader(text))
	if err != nil {
		return c.stop(k.op, errors.New("the address is wrong"), nil)
	}
	if k.body == nil {
		r.Body, r.ContentLength = nil, 0
	}
	r.GetBody = nil // net/http would send it again, unasked
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth(c.cfg.Username, c.cfg.Password)
	if !k.login.IsZero() {
		r.SetBasicAuth(k.login.Field(rota.FieldUsername), k.login.Field(rota.FieldPassword))
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return c.unreached(ctx, k.op, err, "url")
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return c.unreached(ctx, k.op, err, "url")
	case resp.StatusCode/100 != 2:
		return c.refused(k, resp, said)
	case answer == nil:
		return nil
	case json.Unmarshal(said, answer) != nil: // not repeated: it may have hashes
		return c.stop(k.op, errors.New("what answers there isn't RabbitMQ's management API"), rota.Outside("correct the url of connection "+c.name))
	}
	return nil
}

// stop is an error that only a person can end.
func (c *Connection) stop(op string, err error, remedies []rota.Remedy) error {
	return c.fail(op, rota.ClassStop, err, remedies)
}

func (c *Connection) fail(op string, class rota.Class, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Err: err, Remedies: remedies}
}

// unreached is the error for a request or a login without an answer. key is what
// rota.yaml calls the address.
func (c *Connection) unreached(ctx context.Context, op string, err error, key string) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address
	}
	remedies := rota.Outside(fmt.Sprintf("check %s of connection %s, that RabbitMQ listens there, and that no firewall is on the way", key, c.name))
	switch {
	case ctx.Err() != nil:
		return c.fail(op, rota.ClassWait, fmt.Errorf("no response in time: %w", ctx.Err()), remedies)
	case provider.Untrusted(err):
		return c.stop(op, provider.Opaque(err.Error(), err, nil), rota.Outside("tls_ca with the authority of the server's certificate, and the host that it is made for"))
	case provider.Plaintext(err):
		return c.stop(op, errors.New("what answers there doesn't speak TLS"), rota.Outside("the listener with TLS in "+key+" of connection "+c.name))
	case provider.TimedOut(err):
		return c.fail(op, rota.ClassWait, provider.Opaque("no response in time", err, nil), rota.Outside("a longer timeout for connection "+c.name+", or see why RabbitMQ is slow"))
	}
	return c.fail(op, rota.ClassWait, provider.Opaque("it can't be reached: "+err.Error(), err, nil), remedies)
}

// refused is the error for an answer that isn't a success.
func (c *Connection) refused(k call, resp *http.Response, text []byte) error {
	var said struct {
		Error  string          `json:"error"`
		Reason json.RawMessage `json:"reason"`
	}
	isAPI := json.Unmarshal(text, &said) == nil
	words := fmt.Sprintf("it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if isAPI {
		words += ": " + strings.Trim(string(said.Reason), `"`)
	}
	why := errors.New(c.clean(words, k.used...))
	e := &rota.Error{System: c.system(), Connection: c.name, Op: k.op, Class: rota.ClassOfStatus(resp.StatusCode),
		RetryAfter: rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now()), Err: why}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized && !k.login.IsZero():
		e.Class, e.Err = rota.ClassWait, fmt.Errorf("%w: %w", rota.ErrRefused, why)
	case code == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != "":
		e.Remedies = rota.Outside("check username and password of connection " + c.name)
	case strings.Contains(words, "localhost"):
		e.Remedies = rota.Outside("loopback_users." + c.cfg.Username + " = false in rabbitmq.conf, or a user of Rota's own")
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		e.Remedies = rota.Outside("rabbitmqctl set_user_tags " + shell(c.cfg.Username) + " administrator")
	case code == http.StatusNotFound && isAPI:
		e.Err = fmt.Errorf("%w: %w", rota.ErrNotFound, why)
	case code == http.StatusNotFound, code/100 == 3:
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("correct the url of connection "+c.name+", and enable the plugin rabbitmq_management there")
	}
	return e
}

// clean is a text without any value, on one line.
func (c *Connection) clean(text string, used ...rota.Credential) string {
	own := rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password})
	return rota.Brief(rota.OneLine(rota.Sanitize(errors.New(text), append(slices.Clone(used), own)...).Error()))
}
