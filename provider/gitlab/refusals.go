package gitlab

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// tokenRefusals are the causes that GitLab names when it doesn't make a token.
var tokenRefusals = []provider.Cause{
	{Words: []string{"expir", "lifetime"}, Text: "set expires_after to less than the longest lifetime that the instance or the group permits for access tokens"},
	{Words: []string{"permission", "not eligible"}, Text: "give connection %s a user's personal access token with the scope api: GitLab lets no project or group access token make another"},
	{Words: []string{"access level", "access_level"}, Text: "choose a role that isn't above the connection's own, or give connection %s the token of someone with a higher one"},
	{Words: []string{"scope"}, Text: "correct scopes: each has to exist for this kind of token, and be turned on at the instance"},
	{Words: []string{"username"}, Text: "correct username: letters, digits and _ - + . only, at most 255 characters"},
	{Words: []string{"name", "description"}, Text: "correct name: it's too long, or taken"},
	{Words: []string{"fine-grained", "disabled", "not allowed", "not available"}, Text: "have an administrator permit this kind of token, or use another"},
}

// forbiddens are the causes that GitLab names when it answers 403 for another reason
// than a role.
var forbiddens = []provider.Cause{
	{Words: []string{"blocked", "deactivated", "terms of service", "password expired", "two-factor", "2fa", "not confirmed", "pending approval"}, Text: "see to the user whose token connection %s has: the account is blocked, or has something to accept, to confirm or to set up at GitLab"},
	{Words: []string{"not retryable"}, Text: "run a new pipeline at GitLab: jobs of the latest one are too old, or otherwise not allowed to run again"},
}

// orArchived adds to a need what has the same answer: GitLab refuses everybody to
// change, and often to look at, what's archived or turned off.
func (n need) orArchived() string {
	if n == needAdmin || n == needUser {
		return string(n)
	}
	return string(n) + "; if it has them, see whether the project or group is archived or has CI/CD turned off"
}

// saysLater reports whether GitLab refuses something for now only, which it does with
// statuses that stand for good elsewhere.
func saysLater(status int, message string) bool {
	message = strings.ToLower(message)
	switch status {
	case http.StatusForbidden:
		return strings.Contains(message, "read-only instance") || strings.Contains(message, "read-only gitlab instance") || strings.Contains(message, "maintenance")
	case http.StatusBadRequest:
		return strings.Contains(message, "try again later") || strings.Contains(message, "retry later")
	}
	return false
}

// variableRefusals are the causes that GitLab names when it doesn't take a variable.
var variableRefusals = []provider.Cause{
	{Words: []string{"maximum number", "exceeded"}, Text: "delete variables that nobody needs, or have an administrator raise the limit"},
	{Words: []string{"environment_scope", "environment scope"}, Text: "correct environment, and don't set it for a group without GitLab Premium"},
	{Words: []string{"taken", "duplicate"}, Text: "look for another variable of this name and environment, and delete it if nobody needs it"},
	{Words: []string{"hidden"}, Text: "set visibility: masked, or delete the variable at GitLab: only new variables can be hidden"},
	{Words: []string{"value", "mask"}, Text: "list the variable under unmasked if its value is no secret; otherwise give it a value that GitLab masks"},
	{Words: []string{"key"}, Text: "correct the variable's name: letters, digits and _ only, at most 255 characters"},
	{Words: []string{"protected"}, Text: "set protected as the instance's or group's rules ask for it"},
}

// refusedToken adds to a refusal what a person can do about it.
func refusedToken(err error) error {
	return explained(err, tokenRefusals, "correct the issuer's name, scopes, role and expires_after: GitLab doesn't make such a token")
}

func refusedVariable(err error) error {
	return explained(err, variableRefusals, "correct the target's variables: GitLab doesn't take one like this")
}

// explained adds the remedy for what a 400 or 422 says.
func explained(err error, causes []provider.Cause, otherwise string) error {
	answer, ok := errors.AsType[*provider.Answer](err)
	if !ok || answer.Status != http.StatusBadRequest && answer.Status != http.StatusUnprocessableEntity {
		return err
	}
	name := ""
	if e, ok := errors.AsType[*rota.Error](err); ok {
		name = e.Connection
	}
	return rota.WithRemedies(err, rota.Outside(provider.RemedyFor(answer.Message, name, causes, otherwise)))
}

// tooNarrow is the remedy for a 403 that blames the token's scopes or fine-grained
// permissions, "" for any other.
func (c *Connection) tooNarrow(body []byte) string {
	var answer struct{ Error, Scope string }
	switch err := json.Unmarshal(body, &answer); {
	case err == nil && answer.Error == "insufficient_granular_scope":
		return "give connection " + c.name + " a token with the scope api, or a fine-grained one with the permission that GitLab names"
	case err != nil || answer.Error != "insufficient_scope":
		return ""
	}
	return "give connection " + c.name + " a token with the scope " + cmp.Or(provider.Said(answer.Scope), "api") + ": a token's scopes can't be changed"
}
