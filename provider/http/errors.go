package http

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// fail is a classified error.
func (c *Connection) fail(op string, class rota.Class, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Err: err, Remedies: remedies}
}

// odd is the error for an answer that isn't what rota.yaml says.
func (c *Connection) odd(k call, text string) error {
	return c.fail(k.op, rota.ClassStop, errors.New(text), rota.Configure("", "what the API's documentation says about this request's answer"))
}

// clean removes the credential's values and the connection's own from an error.
func (c *Connection) clean(err error, secrets rota.Credential) error {
	own := map[string]string{}
	for name, value := range c.cfg.Headers {
		own["header "+name] = value
		if _, token, two := strings.Cut(value, " "); two { // Bearer token
			own["token "+name] = token
		}
	}
	return rota.Sanitize(err, secrets, rota.NewCredential(own))
}

// unreached is the error for a request without an answer.
func (c *Connection) unreached(ctx context.Context, k call, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address
	}
	class, text, remedies := rota.ClassWait, "it can't be reached", rota.Outside(fmt.Sprintf("check the url of connection %s, and that nothing on the way is in between", c.name))
	_, dns := errors.AsType[*net.DNSError](err)
	operation, dial := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, provider.ErrPrivate):
		class, text, remedies = rota.ClassStop, provider.ErrPrivate.Error(), rota.Outside("allow_private: true for connection "+c.name+", if that is meant")
	case errors.Is(err, provider.ErrOutOfReach):
		class, text, remedies = rota.ClassStop, provider.ErrOutOfReach.Error(), nil
	case ctx.Err() != nil:
		return c.fail(k.op, class, fmt.Errorf("no response in time: %w", ctx.Err()), remedies)
	case provider.Untrusted(err):
		class, text, remedies = rota.ClassStop, c.clean(err, k.secrets).Error(), rota.Outside("tls_ca with the authority of the server's certificate, and the host that it is made for")
	case provider.Plaintext(err):
		class, text, remedies = rota.ClassStop, "what answers there doesn't speak TLS", rota.Outside("correct the url of connection "+c.name)
	case provider.TimedOut(err):
		return c.fail(k.op, class, fmt.Errorf("no response in time: %w", context.DeadlineExceeded), rota.Outside("a longer timeout for connection "+c.name+", or see why the API is slow"))
	case dns:
		text = "its name can't be looked up"
	case dial:
		text = "it can't be reached: " + operation.Err.Error()
	}
	return c.fail(k.op, class, errors.New(text), remedies)
}

// refused is the error for an answer that isn't a success. The API's own words are
// shown, shortened, without any value.
func (c *Connection) refused(k call, resp *http.Response, text []byte) error {
	said := fmt.Sprintf("it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if words := strings.TrimSpace(string(text)); words != "" {
		words = c.clean(errors.New(words), k.secrets).Error()
		said += ": " + shorten(rota.OneLine(words))
	}
	e := &rota.Error{System: c.system(), Connection: c.name, Op: k.op, Class: rota.ClassOfStatus(resp.StatusCode),
		RetryAfter: rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now()), Err: errors.New(said)}
	switch code := resp.StatusCode; {
	case code/100 == 3:
		e.Class, e.Remedies = rota.ClassStop, rota.Configure("", "the address that it redirects to, if that's the API's: Rota follows no redirect with a credential")
	case !k.own && (code == http.StatusUnauthorized || code == http.StatusForbidden):
		// A new credential may not be known everywhere yet.
		e.Class, e.Err = rota.ClassWait, fmt.Errorf("%w: %s", rota.ErrRefused, said)
	case code == http.StatusUnauthorized:
		e.Remedies = rota.Outside("a valid login in the headers of connection " + c.name)
	case code == http.StatusForbidden:
		e.Remedies = rota.Outside("give the login of connection " + c.name + " the permission to " + k.op)
	case code == http.StatusNotFound:
		e.Err = fmt.Errorf("%w: %s", rota.ErrNotFound, said)
		e.Remedies = rota.Configure("", "the path as the API's documentation has it, and the ids in it")
	case code == http.StatusConflict:
		e.Err = fmt.Errorf("%w: %s", rota.ErrConflict, said)
		e.Remedies = rota.Outside("what the API says; or wait, if it's another change under way")
	case code == http.StatusTooManyRequests, code/100 == 5, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		e.Remedies = nil // it ends by itself
	default:
		e.Remedies = rota.Configure("", "the request as the API's documentation has it")
	}
	return e
}

// shorten keeps the beginning of what an API said.
func shorten(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + rota.Omission
}
