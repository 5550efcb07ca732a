package vault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	api "github.com/openbao/openbao/api/v2"

	"github.com/rota-dev/rota"
)

// maxMessage is how much of Vault's own message is kept, in bytes.
const maxMessage = 400

var (
	// errUnreadable stands for an answer that isn't Vault's. What it said isn't
	// shown: it may hold a value.
	errUnreadable = errors.New("the answer could not be read")
	errRedirected = errors.New("redirected")
	// errLogin is what Vault says about the connection's own login. It isn't
	// [rota.ErrRefused]: the secret's own credential may well be good.
	errLogin = errors.New("the connection's login is not valid")
)

// fail converts an error of the client to one of Rota's: named, classified, with
// remedies.
func (c *Connection) fail(k call, resp *api.Response, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	e := &rota.Error{System: c.system(), Connection: c.name, Op: k.op}
	refused, isAnswer := errors.AsType[*api.ResponseError](err)
	switch {
	case errors.Is(err, errRedirected):
		e.Class, e.Err = rota.ClassStop, fmt.Errorf("it answered %d and redirects to another server: it's on standby and doesn't forward requests", resp.StatusCode)
		e.Remedies = rota.Outside("set the address of connection " + c.name + " to the active server, or to a load balancer that leads to it: Rota sends its token nowhere else")
	case errors.Is(err, errUnreadable), isAnswer && refused.RawError:
		e.Class, e.Err = rota.ClassWait, errUnreadable
		if isAnswer {
			e.Class, e.Err = rota.ClassOfStatus(refused.StatusCode), &answer{status: refused.StatusCode, message: "not one of Vault's answers"}
		}
		e.Remedies = rota.Outside("check that the address of connection " + c.name + " leads to Vault and not to a proxy or a login page")
	case isAnswer:
		c.answered(e, k, refused, resp)
	default:
		c.unanswered(e, err)
	}
	return e
}

// answered classifies an answer that isn't a success.
func (c *Connection) answered(e *rota.Error, k call, refused *api.ResponseError, resp *api.Response) {
	text := rota.Sanitize(errors.New(strings.Join(refused.Errors, ", ")), k.used...).Error()
	a := &answer{status: refused.StatusCode, message: oneLine(text)}
	e.Class, e.Err = rota.ClassOfStatus(a.status), a
	switch text := strings.ToLower(a.message); {
	case a.status == http.StatusForbidden && k.token != nil:
	case a.status == http.StatusForbidden && (strings.Contains(text, "invalid token") || strings.Contains(text, "bad token")):
		e.Err = fmt.Errorf("%w: %w", errLogin, a)
		e.Remedies = rota.Outside("give connection " + c.name + " a valid token: this one is wrong, expired or revoked")
	case a.status == http.StatusForbidden:
		e.Remedies = c.allow(k.capability(), k.path)
	case a.status == http.StatusNotFound && strings.Contains(text, "no handler for route"):
		a.is = rota.ErrNotFound
		e.Remedies = rota.Outside("correct the mount or the namespace: nothing is mounted at " + k.path + "; if it's right, enable the engine there")
	case a.status == http.StatusNotFound:
		a.is = rota.ErrNotFound
		e.Remedies = rota.Outside("correct the name or the mount in rota.yaml, or create it in Vault")
	case a.status == http.StatusBadRequest && strings.Contains(text, "check-and-set"):
		a.is, e.Class = rota.ErrConflict, rota.ClassWait
	case a.status == http.StatusTooManyRequests:
		if resp != nil {
			e.RetryAfter = rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
		}
		e.Remedies = rota.Outside("raise the rate limit quota that applies, or wait")
	case a.status == http.StatusServiceUnavailable && strings.Contains(text, "sealed"):
		e.Err = fmt.Errorf("it's sealed: %w", a)
		e.Remedies = rota.Outside("unseal the server at " + c.host)
	case a.status == http.StatusBadRequest && strings.Contains(text, "not initialized"), a.status == http.StatusNotImplemented:
		e.Class, e.Remedies = rota.ClassWait, rota.Outside("initialize and unseal the server at "+c.host)
	}
}

// allow is the remedy for a missing permission.
func (c *Connection) allow(capability, path string) []rota.Remedy {
	text := fmt.Sprintf("allow %s on %s in a policy that the login of connection %s has", capability, path, c.name)
	if c.cfg.Namespace != "" {
		text += ", in namespace " + c.cfg.Namespace
	}
	return rota.Outside(text)
}

// refuse returns an error of Rota's own that only a person can fix.
func (c *Connection) refuse(op, hint string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: err}
}

// refused is the error for a login with the secret's own credential that Vault
// rejects. A new one may not be known everywhere yet.
func (c *Connection) refused(op, why string) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: fmt.Errorf("%w: %s", rota.ErrRefused, why)}
}

// answer is Vault's refusal in its own words.
type answer struct {
	status  int
	message string
	is      error // the sentinel that callers know it by, if any
}

func (a *answer) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)))
	if a.message != "" {
		text += ": " + a.message
	}
	return text
}

func (a *answer) Unwrap() error { return a.is }

// isInvalid reports whether it's the connection's login that was refused, and not
// what it wanted to do.
func isInvalid(err error) bool { return errors.Is(err, errLogin) }

// statusOf is the status of Vault's answer that an error of [Connection.fail]
// stands for, 0 if there was none.
func statusOf(err error) int {
	if a, ok := errors.AsType[*answer](err); ok {
		return a.status
	}
	return 0
}

// oneLine makes external text safe for a log line.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + rota.Omission
	}
	return s
}

// found returns the finding of a check.
func found(check, detail string, err error) rota.Finding {
	if err == nil {
		return rota.Finding{OK: true, Check: check, Detail: detail}
	}
	f := rota.Finding{Check: check, Detail: err.Error(), Remedies: rota.RemediesOf(err)}
	if e, ok := errors.AsType[*rota.Error](err); ok {
		f.Detail = fmt.Sprint(e.Err)
	}
	return f
}

// warned is a finding about what works nevertheless.
func warned(check, detail, hint string) rota.Finding {
	return rota.Finding{Warning: true, Check: check, Detail: detail, Remedies: rota.Outside(hint)}
}

var errBadPath = errors.New("it isn't a path in Vault")
