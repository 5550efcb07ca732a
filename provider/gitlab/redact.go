package gitlab

import (
	"net/http"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// sent is what's secret in a request: the token that it logs in with, the one that
// makes a pipeline, and the values of variables.
func sent(r *http.Request, body []byte) rota.Credential {
	return provider.Sent(r.Header.Get("Private-Token"), body, func(key string) bool { return key == "value" || key == "token" || key == "variables" })
}
