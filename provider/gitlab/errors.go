package gitlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// need is what Rota's token must be allowed for a call, for people.
type need string

// The needs.
const (
	needProject  need = "give the connection's token the scope api and the role Maintainer in the project"
	needGroup    need = "give the connection's token the scope api and the role Owner of the group"
	needAdmin    need = "make the connection's token an administrator's, with the scope api"
	needUser     need = "make the connection's token another one of that user, or an administrator's, with the scope api"
	needPipeline need = "give the connection's token the scope api and a role that may run pipelines for this ref"
)

// fail converts an error of GitLab's client to one of Rota's: named, classified,
// with remedies. n is what the token needs for the call.
func (c *Connection) fail(op string, n need, resp *api.Response, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*rota.Error](err); ok && inner.System == "" {
		return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: inner.Class, Err: err}
	}
	e := &rota.Error{System: c.system(), Connection: c.name, Op: op}
	if refused, ok := errors.AsType[*api.ErrorResponse](err); ok {
		resp = &api.Response{Response: refused.Response}
		c.answered(e, refused.StatusCode, messageOf(refused.Body), n, resp.Response)
		if hint := c.tooNarrow(refused.Body); hint != "" {
			e.Remedies = rota.Outside(hint)
		}
		return e
	}
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, form := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case errors.Is(err, api.ErrNotFound):
		c.answered(e, http.StatusNotFound, "", n, nil)
	case errors.Is(err, httpapi.ErrTooMany):
		e.Class, e.Err = rota.ClassStop, err
	case resp != nil && resp.Response != nil, syntax, form:
		// GitLab answered, but not as documented. What it said isn't shown: it may
		// hold a value.
		e.Class, e.Err = rota.ClassWait, errUnreadable
		if provider.TimedOut(err) {
			e.Err = fmt.Errorf("%w in time", errUnreadable)
		}
		e.Remedies = rota.Outside("check that the connection's url leads to GitLab and not to a proxy or a login page")
	default:
		provider.Unanswered(e, err, "GitLab", c.url.Host, "url")
	}
	return e
}

// errUnreadable stands for an answer that isn't GitLab's.
var errUnreadable = errors.New("the answer could not be read")

// errToken is what GitLab says about the connection's own token. It isn't
// [rota.ErrRefused]: the secret's own credential may well be good.
var errToken = errors.New("the connection's token is not valid")

// answered classifies an answer that isn't a success.
func (c *Connection) answered(e *rota.Error, status int, message string, n need, resp *http.Response) {
	e.Class = rota.ClassOfStatus(status)
	e.Err = &provider.Answer{Status: status, Message: message}
	if resp != nil && e.Class == rota.ClassWait { // too many requests, or maintenance
		e.RetryAfter = rota.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	switch {
	case status == http.StatusUnauthorized:
		e.Err = fmt.Errorf("%w: %w", errToken, e.Err)
		e.Remedies = rota.Outside("give connection " + c.name + " a valid access token: this one is wrong, expired or revoked")
		if n == needAdmin || n == needUser { // what GitLab answers others, too
			e.Remedies = append(e.Remedies, rota.Outside(string(n))...)
		}
	case saysLater(status, message):
		e.Class = rota.ClassWait
		e.Remedies = rota.Outside("wait: Rota tries again later; if it lasts, have an administrator end what GitLab names, which is a limit, maintenance or a read-only instance")
	case status == http.StatusForbidden:
		e.Remedies = rota.Outside(provider.RemedyFor(message, c.name, forbiddens, n.orArchived()))
	case status == http.StatusMethodNotAllowed && strings.Contains(message, "moved"):
		e.Remedies = rota.Outside("write the project's path as it is now, or its number: the project was moved, and GitLab takes no writes at the old path")
	case status == http.StatusNotFound:
		e.Err = &provider.Answer{Status: status, Message: message, Is: rota.ErrNotFound}
		// GitLab says so too of what the token may not see.
		e.Remedies = rota.Outside("correct the name, or let the connection's token see it")
	case status == http.StatusConflict:
		e.Err = &provider.Answer{Status: status, Message: message, Is: rota.ErrConflict}
		e.Remedies = rota.Outside("see what else changes it at the same time, such as Terraform or another Rota")
	case status >= 300 && status < 400:
		e.Remedies = rota.Outside("write the url and the project's path as they are now: GitLab redirects to another")
	}
}

// refuse returns an error of Rota's own that only a person can fix.
func (c *Connection) refuse(op, hint string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: err}
}

// messageOf returns what a refusal says, "" if it isn't in one of GitLab's forms.
func messageOf(body []byte) string {
	var raw any
	if json.Unmarshal(body, &raw) != nil {
		return ""
	}
	return provider.Said(strings.TrimPrefix(words(raw), "message: "))
}

// words flattens GitLab's messages, which are texts, lists, or lists by name.
func words(raw any) string {
	switch raw := raw.(type) {
	case string:
		return raw
	case []any:
		var all []string
		for _, one := range raw {
			all = append(all, words(one))
		}
		return strings.Join(all, ", ")
	case map[string]any:
		for _, key := range []string{"message", "error_description", "error"} {
			if one, ok := raw[key]; ok {
				return words(one)
			}
		}
		var all []string
		for key, one := range raw {
			if key == "base" { // of nothing in particular
				return words(one)
			}
			all = append(all, key+": "+words(one))
		}
		if len(all) == 1 {
			return all[0]
		}
		return ""
	}
	return ""
}
