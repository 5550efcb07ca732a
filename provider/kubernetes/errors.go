package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// status is what an API server answers instead of what was asked for.
type status struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Details struct {
		Kind       string `json:"kind"`
		RetryAfter int    `json:"retryAfterSeconds"`
	} `json:"details"`
}

// unanswered is the error of a request that got no answer.
func (l *login) unanswered(e *rota.Error, err error) error {
	if text := err.Error(); strings.Contains(text, "getting credentials: ") {
		return l.pluginFailed(e, err)
	}
	provider.Unanswered(e, err, "the API server", l.url.Host, "server")
	if provider.Untrusted(err) {
		e.Remedies = rota.Outside("set certificate-authority of the cluster in the kubeconfig of connection " + e.Connection + " to the authority that signed the API server's certificate, or correct its server")
	}
	return e
}

// pluginFailed is the error of an exec plugin, such as that of EKS, GKE or AKS. What the
// plugin itself prints goes to Rota's standard error.
func (l *login) pluginFailed(e *rota.Error, err error) error {
	_, text, _ := strings.Cut(err.Error(), "getting credentials: ")
	text, _, _ = strings.Cut(text, "\n")
	text = strings.TrimSuffix(text, ": "+context.DeadlineExceeded.Error())
	e.Class, e.Err = rota.ClassWait, provider.Opaque("the login's plugin failed: "+provider.Said(text), err, nil)
	e.Remedies = rota.Outside("run kubectl with " + l.from + " as the user that Rota runs as, and see what the plugin says")
	if strings.Contains(text, "not found") {
		e.Class = rota.ClassStop
		e.Remedies = rota.Outside("install the plugin that " + l.from + " names where Rota runs, on its PATH, or give connection " + e.Connection + " a kubeconfig without a plugin")
	}
	return e
}

// unreadable is the error of an answer that isn't an API server's. What it said isn't
// shown: it may hold a value.
func (c *Connection) unreadable(e *rota.Error) error {
	e.Class, e.Err = rota.ClassWait, errors.New("the answer could not be read")
	e.Remedies = c.notAnAPIServer()
	return e
}

func (c *Connection) notAnAPIServer() []rota.Remedy {
	return rota.Outside("check that the server of connection " + c.name + " is an API server and not a proxy or a login page")
}

// refused is the error of an answer that isn't a success.
func (c *Connection) refused(e *rota.Error, l *login, q request, resp *http.Response, text []byte) error {
	var s status
	if json.Unmarshal(text, &s) != nil || s.Kind != "Status" {
		s = status{}
	}
	message := rota.Sanitize(errors.New(s.Message), q.used).Error()
	a := &provider.Answer{Status: resp.StatusCode, Message: provider.Said(message)}
	e.Class, e.Err = rota.ClassOfStatus(a.Status), a
	e.RetryAfter = rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	e.RetryAfter = max(e.RetryAfter, rota.RetryAfter(strconv.Itoa(s.Details.RetryAfter), time.Now()))
	said := strings.ToLower(message)
	switch {
	case a.Status == http.StatusUnauthorized:
		c.forget()
		e.Err = fmt.Errorf("%w: %w", errLogin, a)
		e.Remedies = rota.Outside("give connection " + c.name + " a valid login: that of " + l.from + " is wrong, expired or revoked")
	case a.Status == http.StatusForbidden && strings.Contains(said, "exceeded quota"):
		e.Remedies = rota.Outside("raise the ResourceQuota of the namespace, or remove what isn't needed there")
	case a.Status == http.StatusForbidden && strings.Contains(said, "being terminated"):
		e.Remedies = rota.Outside("wait until the namespace is gone and create it again, or correct the namespace in rota.yaml")
	case a.Status == http.StatusForbidden && (s.Kind == "" || strings.Contains(said, "cannot ")):
		e.Remedies = c.allow(q.need)
	case a.Status == http.StatusForbidden, strings.Contains(said, "admission webhook"):
		e.Remedies = rota.Outside("let the cluster's admission policy permit what Rota's login of connection " + c.name + " does")
	case a.Status == http.StatusNotFound:
		a.Is = rota.ErrNotFound
		e.Remedies = rota.Outside("correct the name or the namespace in rota.yaml, or the server of connection " + c.name)
		if s.Details.Kind == "namespaces" {
			e.Remedies = rota.Outside("create the namespace, or correct it in rota.yaml")
		}
	case a.Status == http.StatusConflict:
		a.Is, e.Class = rota.ErrConflict, rota.ClassWait
		e.Remedies = rota.Outside("see what else changes it at the same time: the owners of its fields are in its managedFields")
	case a.Status == http.StatusRequestEntityTooLarge, a.Status == http.StatusUnprocessableEntity, a.Status == http.StatusBadRequest:
		e.Class = rota.ClassStop
		e.Remedies = rota.Outside("correct what the API server objects to, in rota.yaml or in the cluster")
	case a.Status < http.StatusBadRequest:
		e.Class = rota.ClassStop
		e.Remedies = rota.Outside("write the server of connection " + c.name + " as it is now: it redirects to another, and Rota follows no redirect with its login")
	}
	return e
}

// errLogin is what the API server says about the connection's own login. It isn't
// [rota.ErrRefused]: the secret's own credential may well be good.
var errLogin = errors.New("the connection's login is not valid")

// allow is the remedy for a rule that's missing.
func (c *Connection) allow(n need) []rota.Remedy {
	return append(rota.Outside(fmt.Sprintf("allow the login of connection %s to %s, with the roles that this prints", c.name, n)), rota.Command("rota policy kubernetes")...)
}

// refuse returns an error of Rota's own that only a person can fix.
func (c *Connection) refuse(op string, remedies []rota.Remedy, err error) error {
	return &rota.Error{System: c.System(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: remedies, Err: err}
}

// oneLine is an error of client-go's on one line.
func oneLine(err error) string { return provider.Said(rota.OneLine(err.Error())) }

// oneOf lists names for a hint.
func oneOf(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
