// Package grafanatest is a stand-in for the tokens of Grafana's service accounts, in
// memory. It isn't Grafana: it answers as its documentation says
// (grafana.com/docs/grafana/latest/developers/http_api/serviceaccount).
package grafanatest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// Account is the number of a service account.
const Account = "7"

// New starts a Grafana. Close must be called.
func New() *providertest.TokenServer {
	s := providertest.NewTokenServer(refuse)
	s.Admin("POST /api/serviceaccounts/7/tokens", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Name          string
			SecondsToLive int64
		}
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Name == "" || body.SecondsToLive < 0 {
			refuse(w, http.StatusBadRequest, "bad request data")
			return
		}
		var expires time.Time
		if body.SecondsToLive > 0 {
			expires = s.Now().UTC().Add(time.Duration(body.SecondsToLive) * time.Second).Truncate(time.Second)
		}
		t, ok := s.Make(Account, body.Name, "glsa_", expires, nil)
		if !ok {
			refuse(w, http.StatusBadRequest, "service account token with given name already exists in the organization")
			return
		}
		answer(w, map[string]any{"id": t.Number, "name": t.Name, "key": t.Value})
	})
	s.Admin("GET /api/serviceaccounts/7/tokens", func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		for _, t := range s.Tokens(Account) {
			list = append(list, map[string]any{
				"id": t.Number, "name": t.Name, "created": t.Created, "expiration": orNull(t.Expires), "lastUsedAt": orNull(t.Used),
				"hasExpired": !t.Expires.IsZero() && !s.Now().Before(t.Expires), "isRevoked": t.Off,
			})
		}
		answer(w, list)
	})
	s.Admin("DELETE /api/serviceaccounts/7/tokens/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Remove(Account, func(t providertest.ServedToken) bool { return strconv.FormatInt(t.Number, 10) == r.PathValue("id") }) {
			refuse(w, http.StatusNotFound, "service account token not found")
			return
		}
		answer(w, map[string]string{"message": "Service account token deleted"})
	})
	s.Token("GET /api/user", func(w http.ResponseWriter, _ *http.Request, _ providertest.ServedToken) {
		answer(w, map[string]any{"login": "sa-1-orders", "orgId": 1})
	})
	return s
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	answer(w, map[string]string{"message": message, "messageId": "", "traceID": ""})
}
