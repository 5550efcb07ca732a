package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "github.com/openbao/openbao/api/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

var (
	// errUnreadable stands for an answer that isn't Vault's. What it said isn't
	// shown: it may hold a value.
	errUnreadable = errors.New("the answer could not be read")
	errRedirected = errors.New("redirected")
	// errWrapped is an answer that holds a wrapping token instead of what was asked for.
	errWrapped = errors.New("Vault wraps the answer instead of giving it, and may not have done what it was asked to: a control group wants an approval, or the policy requires wrapping") //nolint:staticcheck // a name
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
	case errors.Is(err, errWrapped):
		e.Class, e.Err = rota.ClassStop, errWrapped
		e.Remedies = rota.Outside("allow " + k.capability() + " on " + k.path + " without control_group and min_wrapping_ttl in the policy that the login of connection " + c.name + " has")
	case errors.Is(err, errUnreadable), isAnswer && refused.RawError:
		e.Class, e.Err = rota.ClassWait, errUnreadable
		if isAnswer {
			e.Class, e.Err = rota.ClassOfStatus(refused.StatusCode), &provider.Answer{Status: refused.StatusCode, Message: "not one of Vault's answers"}
		}
		e.Remedies = rota.Outside("check that the address of connection " + c.name + " leads to Vault and not to a proxy or a login page")
	case isAnswer:
		c.answered(e, k, refused, resp)
	default:
		provider.Unanswered(e, err, "the server", c.host, "address")
		if _, other := errors.AsType[x509.HostnameError](err); other && c.cfg.TLSServerName != "" {
			e.Remedies = rota.Outside("correct tls_server_name of connection " + c.name + ", which is " + c.cfg.TLSServerName + ", or leave it out if the certificate is for " + c.host)
		}
	}
	return e
}

// answered classifies an answer that isn't a success.
func (c *Connection) answered(e *rota.Error, k call, refused *api.ResponseError, resp *api.Response) {
	text := rota.Sanitize(errors.New(strings.Join(refused.Errors, ", ")), k.used...).Error()
	a := &provider.Answer{Status: refused.StatusCode, Message: provider.Said(text)}
	e.Class, e.Err = rota.ClassOfStatus(a.Status), a
	switch text := strings.ToLower(a.Message); {
	case a.Status == http.StatusForbidden && k.token != nil:
	case a.Status == http.StatusBadRequest && k.token == nil && strings.HasSuffix(text, "invalid token"),
		a.Status == http.StatusForbidden && (strings.Contains(text, "invalid token") || strings.Contains(text, "bad token")):
		e.Err = fmt.Errorf("%w: %w", errLogin, a)
		e.Remedies = rota.Outside("give connection " + c.name + " a valid token: this one is wrong, expired or revoked")
	case a.Status == http.StatusForbidden:
		e.Remedies = c.allow(k.capability(), k.path)
	case a.Status == http.StatusNotFound && strings.Contains(text, "no handler for route"):
		a.Is = rota.ErrNotFound
		e.Remedies = rota.Outside("correct the mount or the namespace: nothing is mounted at " + k.path + "; if it's right, enable the engine there")
	case a.Status == http.StatusNotFound:
		a.Is = rota.ErrNotFound
		e.Remedies = rota.Outside("correct the name or the mount in rota.yaml, or create it in Vault")
	case a.Status == http.StatusBadRequest && strings.Contains(text, "check-and-set"):
		a.Is, e.Class = rota.ErrConflict, rota.ClassWait
	case a.Status == http.StatusBadRequest && strings.Contains(text, "upgrading from non-versioned"):
		e.Class = rota.ClassWait // a KV engine that was just mounted or unsealed
	case a.Status == http.StatusBadRequest && (strings.Contains(text, "unknown role") || strings.Contains(text, "no static role found")):
		a.Is = rota.ErrNotFound
		e.Remedies = rota.Outside("correct the role or the mount in rota.yaml, or create the role in Vault")
	case a.Status == http.StatusPreconditionFailed: // a token or a write that hasn't got there yet
		e.Class = rota.ClassWait
		e.Remedies = rota.Outside("wait, or set the address of connection " + c.name + " to the active server: this one lags behind")
	case a.Status == statusSecondary, a.Status == statusPerfStandby:
		e.Remedies = rota.Outside("set the address of connection " + c.name + " to the active server of the primary cluster")
	case a.Status == http.StatusTooManyRequests:
		if resp != nil {
			e.RetryAfter = rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
		}
		e.Remedies = rota.Outside("raise the rate limit quota that applies, or wait")
	case a.Status == http.StatusServiceUnavailable && strings.Contains(text, "sealed"):
		e.Err = fmt.Errorf("it's sealed: %w", a)
		e.Remedies = rota.Outside("unseal the server at " + c.host)
	case a.Status == http.StatusBadRequest && strings.Contains(text, "not initialized"), a.Status == http.StatusNotImplemented:
		e.Class, e.Remedies = rota.ClassWait, rota.Outside("initialize and unseal the server at "+c.host)
	case a.Status == http.StatusBadRequest, a.Status == http.StatusUnprocessableEntity:
		e.Remedies = rota.Outside("correct what Vault objects to, in rota.yaml or in Vault at " + k.path)
	case a.Status == http.StatusInternalServerError:
		e.Remedies = rota.Outside("see whether Vault reaches the system behind " + k.path + ", and may do there what it's asked to; Vault's log has more")
	}
}

// What a server answers that's the secondary of another cluster or a standby, to who
// asks how it is.
const (
	statusSecondary   = 472
	statusPerfStandby = 473
)

// allow is the remedy for a missing permission.
func (c *Connection) allow(capability, path string) []rota.Remedy {
	text := fmt.Sprintf("allow %s on %s in a policy that the login of connection %s has, as rota policy vault prints it", capability, path, c.name)
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

// isInvalid reports whether it's the connection's login that was refused, and not
// what it wanted to do.
func isInvalid(err error) bool { return errors.Is(err, errLogin) }

var errBadPath = errors.New("it isn't a path in Vault")
