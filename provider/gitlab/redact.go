package gitlab

import (
	"net/http"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// sent is what's secret in a request: the token that it logs in with, the one that
// makes a pipeline, and the values of variables.
func sent(r *http.Request, body []byte) rota.Credential {
	login := r.Header.Get("Private-Token")
	if _, password, ok := r.BasicAuth(); ok { // a deploy token's
		login = password
	}
	return provider.Sent(login, body, func(key string) bool { return key == "value" || key == "token" || key == "variables" })
}
