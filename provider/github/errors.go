package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

const (
	// clockOff is how far apart two clocks are when a person should hear of it.
	clockOff = 30 * time.Second
	// limitPause is how long GitHub asks for after its secondary limits if its answer
	// doesn't say.
	limitPause = time.Minute
)

// fail converts an error of GitHub's client to one of Rota's: named, classified,
// with remedies. a is what the call was for.
func (c *Connection) fail(op string, a access, resp *api.Response, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*rota.Error](err); ok {
		if inner.System == "" {
			return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: inner.Class, Err: err}
		}
		e := *inner // of the login that the call needed
		e.Remedies = rota.RemediesOf(err)
		return &e
	}
	e := &rota.Error{System: c.system(), Connection: c.name, Op: op}
	refused, isRefused := errors.AsType[*api.ErrorResponse](err)
	limit, isLimit := errors.AsType[*api.RateLimitError](err)
	abuse, isAbuse := errors.AsType[*api.AbuseRateLimitError](err)
	moved, isMoved := errors.AsType[*api.RedirectionError](err)
	factor, isFactor := errors.AsType[*api.TwoFactorAuthError](err)
	switch {
	case isRefused:
		c.answered(e, refused.Response, messageOf(refused), a)
	case isFactor:
		c.answered(e, factor.Response, provider.Said(factor.Message), a)
	case isLimit:
		c.limited(e, limit.Response, "the hour's calls are used up", limit.Rate.Reset.Sub(c.now()))
	case isAbuse:
		c.limited(e, abuse.Response, "too many calls at a time", abuse.GetRetryAfter())
	case isMoved:
		e.Class, e.Err = rota.ClassStop, &provider.Answer{Status: moved.StatusCode}
		e.Remedies = rota.Outside("write the url, the owner and the repository as they are now: GitHub redirects to another")
	case errors.Is(err, httpapi.ErrTooMany):
		e.Class, e.Err = rota.ClassStop, err
	case errors.Is(err, errUnreadable), resp != nil && resp.Response != nil && !errors.Is(err, context.Canceled):
		// GitHub answered, but not as documented. What it said isn't shown: it may
		// hold a value.
		e.Class, e.Err = rota.ClassWait, errUnreadable
		if provider.TimedOut(err) {
			e.Err = fmt.Errorf("%w in time: %w", errUnreadable, context.DeadlineExceeded)
		}
		e.Remedies = rota.Outside("check that the connection's url leads to GitHub's API and not to a proxy or a web page")
	default:
		provider.Unanswered(e, err, "GitHub", c.url.Host, "url")
	}
	return e
}

// errUnreadable stands for an answer that isn't GitHub's.
var errUnreadable = errors.New("the answer could not be read")

// errLogin is what GitHub says about the connection's own login. It isn't
// [rota.ErrRefused]: the secret's own credential may well be good.
var errLogin = errors.New("the connection's login is not valid")

// limited is about an answer that asks for a pause.
func (c *Connection) limited(e *rota.Error, resp *http.Response, why string, pause time.Duration) {
	if pause <= 0 {
		pause = limitPause
	}
	e.Class, e.RetryAfter = rota.ClassWait, pause
	e.Err = &provider.Answer{Status: statusIn(resp), Message: "GitHub's rate limit: " + why}
	e.Remedies = []rota.Remedy{{Action: rota.RemedyWait, Text: "wait: Rota tries again once GitHub allows it"}}
}

// answered classifies an answer that isn't a success.
func (c *Connection) answered(e *rota.Error, resp *http.Response, message string, a access) {
	status := statusIn(resp)
	said := &provider.Answer{Status: status, Message: message}
	e.Class, e.Err = rota.ClassOfStatus(status), said
	switch {
	case status == http.StatusUnauthorized:
		e.Err = fmt.Errorf("%w: %w", errLogin, said)
		e.Remedies = c.relogin(resp)
	case status == http.StatusForbidden && ssoOf(resp) != "":
		e.Remedies = rota.Outside("authorize the token of connection " + c.name + " for single sign-on, in the token's settings at GitHub: " + ssoOf(resp))
	case status == http.StatusForbidden && resp.Header.Get("Retry-After") != "":
		c.limited(e, resp, "too many calls at a time", rota.RetryAfter(resp.Header.Get("Retry-After"), c.now()))
	case status == http.StatusForbidden && strings.Contains(strings.ToLower(message), "rate limit"):
		c.limited(e, resp, "too many calls at a time", 0)
	case status == http.StatusForbidden:
		e.Remedies = rota.Outside(provider.RemedyFor(message, c.name, forbiddens, c.permit(resp, a)))
	case status == http.StatusNotFound:
		said.Is = rota.ErrNotFound
		// GitHub says so too of what the login may not see.
		e.Remedies = rota.Outside("correct the name, or let the login see it: " + c.permit(resp, a))
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		e.Remedies = rota.Outside(provider.RemedyFor(message, c.name, refusals, "correct in rota.yaml what GitHub refuses"))
	case status == http.StatusConflict:
		said.Is = rota.ErrConflict
		e.Remedies = rota.Outside("see what else changes it at the same time, such as Terraform or another Rota")
	case status == http.StatusTooManyRequests:
		c.limited(e, resp, "too many calls at a time", rota.RetryAfter(resp.Header.Get("Retry-After"), c.now()))
	case status >= 300 && status < 400:
		e.Remedies = rota.Outside("write the url, the owner and the repository as they are now: GitHub redirects to another")
	}
}

// forbiddens are the causes that GitHub names when it answers 403 for another reason
// than a permission.
var forbiddens = []provider.Cause{
	{Words: []string{"archived"}, Text: "unarchive the repository at GitHub, or take it out of rota.yaml: nobody can change what's archived"},
	{Words: []string{"lifetime"}, Text: "give connection %s a token that ends sooner, or an App: the organization or the enterprise allows none that lasts this long"},
	{Words: []string{"forbids access via"}, Text: "give connection %s another kind of token, or an App: the organization or the enterprise doesn't allow this kind"},
	{Words: []string{"ip allow list"}, Text: "have an owner of the organization add this machine's address to its IP allow list"},
	{Words: []string{"suspended"}, Text: "have the owner unsuspend the App's installation, or the user whose token connection %s has"},
	{Words: []string{"actions is disabled", "actions has been disabled", "actions are disabled", "actions disabled"}, Text: "turn GitHub Actions on for the repository"},
	{Words: []string{"upgrade", "billing", "payment"}, Text: "have the owner settle what GitHub says about the plan or its billing"},
}

// refusals are the causes that GitHub names when it doesn't take a secret, a variable
// or a key. What else is refused has remedies where it's asked for.
var refusals = []provider.Cause{
	{Words: []string{"too large", "too long", "48 kb", "size"}, Text: "shorten the value to 48 KB, or keep it elsewhere and deliver a reference to it"},
	{Words: []string{"maximum", "exceed", "limit"}, Text: "delete secrets or variables that nobody needs: the place is full"},
	{Words: []string{"visibility", "selected", "items"}, Text: "correct visibility and the repositories that may read it"},
	{Words: []string{"key_id", "public key"}, Text: "check that nothing between Rota and GitHub answers in its place, such as a cache: the place's public key is out of date"},
	{Words: []string{"name"}, Text: "correct the name: letters, digits and _ only, no digit in front, not GITHUB_…"},
}

// relogin is what to do about a login that GitHub doesn't take.
func (c *Connection) relogin(resp *http.Response) []rota.Remedy {
	if c.app == nil {
		return rota.Outside("give connection " + c.name + " a valid access token: this one is wrong, expired or revoked")
	}
	hint := "check the id and the private key of the App of connection " + c.name
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if off := c.now().Sub(at); off.Abs() > clockOff {
			return rota.Outside(fmt.Sprintf("set this machine's clock, which is %s from GitHub's; if that doesn't help, %s", rota.FormatDuration(off.Abs().Round(time.Second)), hint))
		}
	}
	return rota.Outside(hint)
}

// permit is what the login lacks for a call, as GitHub says it, or else as
// documented.
func (c *Connection) permit(resp *http.Response, a access) string {
	needs := accepted(resp.Header.Get("X-Accepted-GitHub-Permissions"))
	for i, p := range needs {
		if slices.Contains(a.needs, permission{p.name, write}) {
			needs[i].level = write // this call reads, the next one writes
		}
	}
	if needs == nil {
		needs = a.needs
	}
	switch {
	case len(needs) == 0:
		return "check what the login of connection " + c.name + " may do"
	case c.app != nil:
		return "give the App of connection " + c.name + " the permission " + names(needs) + ", and have the owner accept it"
	}
	hint := "give the token of connection " + c.name + " the permission " + names(needs)
	if scope := resp.Header.Get("X-Accepted-OAuth-Scopes"); scope != "" && resp.Header.Get("X-OAuth-Scopes") != "" {
		hint = "give the token of connection " + c.name + " one of the scopes " + provider.Said(scope)
	}
	return hint + ", for " + a.String() + "; its user must be allowed that too"
}

// ssoOf is where a token is authorized for an organization's single sign-on, ""
// if that isn't what's missing. The address's query is left out.
func ssoOf(resp *http.Response) string {
	header := resp.Header.Get("X-GitHub-SSO")
	if !strings.HasPrefix(header, "required") {
		return ""
	}
	_, address, _ := strings.Cut(header, "url=")
	if u, err := url.Parse(strings.TrimSpace(address)); err == nil && u.Host != "" {
		return provider.Said("https://" + u.Host + u.Path)
	}
	return "its organization asks for it"
}

// refuse returns an error of Rota's own that only a person can fix.
func (c *Connection) refuse(op, hint string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: err}
}

func statusIn(resp *http.Response) int {
	if resp == nil {
		return 0
	}
	return resp.StatusCode
}

// messageOf is what a refusal says.
func messageOf(r *api.ErrorResponse) string {
	parts := []string{r.Message}
	for _, e := range r.Errors {
		switch {
		case e.Message != "":
			parts = append(parts, e.Message)
		case e.Field != "":
			parts = append(parts, e.Field+": "+e.Code)
		}
	}
	return provider.Said(strings.Trim(strings.Join(parts, ": "), ": "))
}
