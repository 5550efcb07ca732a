package gitlab

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// remedyFor is what to do about a refusal that says one of the words.
type remedyFor struct {
	words []string // in lower case
	text  string
}

// tokenRefusals are the causes that GitLab names when it doesn't make a token.
var tokenRefusals = []remedyFor{
	{[]string{"expir", "lifetime"}, "set expires_after to less than the longest lifetime that the instance or the group permits for access tokens"},
	{[]string{"permission", "not eligible"}, "give connection %s a user's personal access token with the scope api: GitLab lets no project or group access token make another"},
	{[]string{"access level", "access_level"}, "choose a role that isn't above the connection's own, or give connection %s the token of someone with a higher one"},
	{[]string{"scope"}, "correct scopes: each has to exist for this kind of token, and be turned on at the instance"},
	{[]string{"username"}, "correct username: letters, digits and _ - + . only, at most 255 characters"},
	{[]string{"name", "description"}, "correct name: it's too long, or taken"},
	{[]string{"fine-grained", "disabled", "not allowed", "not available"}, "have an administrator permit this kind of token, or use another"},
}

// variableRefusals are the causes that GitLab names when it doesn't take a variable.
var variableRefusals = []remedyFor{
	{[]string{"maximum number", "exceeded"}, "delete variables that nobody needs, or have an administrator raise the limit"},
	{[]string{"environment_scope", "environment scope"}, "correct environment, and don't set it for a group without GitLab Premium"},
	{[]string{"taken", "duplicate"}, "look for another variable of this name and environment, and delete it if nobody needs it"},
	{[]string{"hidden"}, "set visibility: masked, or delete the variable at GitLab: only new variables can be hidden"},
	{[]string{"value", "mask"}, "list the variable under unmasked if its value is no secret; otherwise give it a value that GitLab masks"},
	{[]string{"key"}, "correct the variable's name: letters, digits and _ only, at most 255 characters"},
	{[]string{"protected"}, "set protected as the instance's or group's rules ask for it"},
}

// refusedToken adds to a refusal what a person can do about it.
func refusedToken(err error) error {
	return explained(err, tokenRefusals, "correct the issuer's name, scopes, role and expires_after: GitLab doesn't make such a token")
}

func refusedVariable(err error) error {
	return explained(err, variableRefusals, "correct the target's variables: GitLab doesn't take one like this")
}

// explained adds the remedy for what a 400 or 422 says.
func explained(err error, causes []remedyFor, otherwise string) error {
	answer, ok := errors.AsType[*provider.Answer](err)
	if !ok || answer.Status != http.StatusBadRequest && answer.Status != http.StatusUnprocessableEntity {
		return err
	}
	text, said := otherwise, strings.ToLower(answer.Message)
	for _, c := range slices.Backward(causes) {
		if slices.ContainsFunc(c.words, func(word string) bool { return strings.Contains(said, word) }) {
			text = c.text
		}
	}
	name := ""
	if e, ok := errors.AsType[*rota.Error](err); ok {
		name = e.Connection
	}
	return rota.WithRemedies(err, rota.Outside(strings.ReplaceAll(text, "%s", name)))
}

// tooNarrow is the remedy for a 403 that blames the token's scopes, "" for any other.
func (c *Connection) tooNarrow(body []byte) string {
	var answer struct{ Error, Scope string }
	if json.Unmarshal(body, &answer) != nil || answer.Error != "insufficient_scope" {
		return ""
	}
	return "give connection " + c.name + " a token with the scope " + cmp.Or(provider.Said(answer.Scope), "api") + ": a token's scopes can't be changed"
}
