package function

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// maxSearched is how much of a function's error is read, in bytes. Less of it is shown.
const maxSearched = 64 << 10

// said is what an Invoke call's answer says about a failure: whole, and as it may be
// shown. Both are empty if the step succeeded. Lambda marks a failure in a header. Its
// runtime emulator doesn't: there, only the answer itself differs.
func (c *Connection) said(resp *http.Response, body []byte, e *entry) (shown, whole string) {
	mark := resp.Header.Get("X-Amz-Function-Error")
	whole = failure(body)
	switch {
	case whole == "" && resp.StatusCode != http.StatusOK: // Lambda's own error
		var lambda struct{ Message json.RawMessage }
		_ = json.Unmarshal(body, &lambda)
		whole = plain(lambda.Message)
	case whole == "" && mark == "":
		return "", ""
	case whole == "":
		whole = "an error of the kind " + mark
	}
	whole = strings.ToValidUTF8(whole[:min(len(whole), maxSearched)], "\uFFFD")
	// Before it's cut short: half a value isn't recognized.
	return provider.Said(rota.Sanitize(errors.New(whole), c.hidden(e)...).Error()), whole
}

// failure is what the body of an answer says of a failure, "" if it says of none. What a
// function returns is JSON. Anything else comes from what's in front of it: a page, or
// the emulator's "Task timed out".
func failure(body []byte) string {
	text := strings.TrimSpace(string(body))
	if text == "" {
		return ""
	}
	if !json.Valid(body) {
		return "an answer that isn't JSON: " + text
	}
	var said struct{ ErrorType, ErrorMessage json.RawMessage }
	if json.Unmarshal(body, &said) != nil {
		return "" // not an object
	}
	return strings.Trim(plain(said.ErrorType)+": "+plain(said.ErrorMessage), ": ")
}

// plain is a JSON text's value, or whatever else is there.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	return text
}

// refusedBy reports whether the error of testSecret says that the user's login was
// refused: in the words of the usual database drivers, or in one of texts. A driver
// names the user whose password was wrong, which may be the administrator instead.
func refusedBy(said, user string, texts []string) bool {
	for _, text := range texts {
		if strings.Contains(said, text) {
			return true
		}
	}
	said, user = strings.ReplaceAll(said, `\`, ""), strings.ReplaceAll(user, `\`, "") // of an error inside an error
	const postgres, mysql = "password authentication failed", "Access denied for user '"
	for rest := said; ; {
		_, after, found := strings.Cut(rest, postgres)
		if !found {
			break
		}
		if named := strings.HasPrefix(after, ` for user "`); !named || user == "" || strings.HasPrefix(after, ` for user "`+user+`"`) {
			return true
		}
		rest = after
	}
	for rest := said; ; {
		_, after, found := strings.Cut(rest, mysql)
		if !found {
			return false
		}
		line, _, _ := strings.Cut(after, "Access denied")
		ours := user == "" || strings.HasPrefix(line, user+"'@")
		// The same words are said of a database that the user may not use, and of a
		// login without any password.
		if ours && !strings.Contains(line, "' to database '") && !strings.Contains(line, "(using password: NO)") {
			return true
		}
		rest = after
	}
}

// hidden are the values that mustn't be in an error.
func (c *Connection) hidden(e *entry) []rota.Credential {
	return append(e.values(), rota.NewCredential(map[string]string{rota.FieldSecretAccessKey: c.cfg.SecretAccessKey}))
}
