// Package grafanatest is a stand-in for the tokens of Grafana's service accounts, in
// memory. It isn't Grafana: it answers as its documentation says
// (grafana.com/docs/grafana/latest/developers/http_api/serviceaccount).
package grafanatest

import (
	"encoding/json"
	"net/http"
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
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Name == "" || body.SecondsToLive <= 0 {
			refuse(w, http.StatusBadRequest, "Number of seconds before expiration should be set") // as with token_expiration_day_limit
			return
		}
		t, ok := s.Make(Account, body.Name, "glsa_", s.Now().UTC().Add(time.Duration(body.SecondsToLive)*time.Second).Truncate(time.Second), nil)
		if !ok {
			refuse(w, http.StatusBadRequest, "service account token with given name already exists in the organization")
			return
		}
		providertest.WriteJSON(w, http.StatusOK, map[string]any{"id": json.Number(t.ID), "name": t.Name, "key": t.Value})
	})
	s.Admin("GET /api/serviceaccounts/7/tokens", func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		for _, t := range s.Tokens(Account) {
			list = append(list, map[string]any{
				"id": json.Number(t.ID), "name": t.Name, "created": t.Created, "lastUsedAt": providertest.TimeOrNull(t.Used),
				"expiration": providertest.TimeOrNull(t.Expires), "hasExpired": s.Expired(t), "isRevoked": t.Off,
			})
		}
		providertest.WriteJSON(w, http.StatusOK, list)
	})
	s.Admin("DELETE /api/serviceaccounts/7/tokens/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Remove(Account, r.PathValue("id")) {
			refuse(w, http.StatusNotFound, "service account token not found")
			return
		}
		providertest.WriteJSON(w, http.StatusOK, map[string]string{"message": "Service account token deleted"})
	})
	s.Token("GET /api/user", func(w http.ResponseWriter, _ *http.Request, _ providertest.ServedToken) {
		providertest.WriteJSON(w, http.StatusOK, map[string]any{"login": "sa-1-orders", "orgId": 1})
	})
	return s
}

func refuse(w http.ResponseWriter, status int, message string) {
	providertest.WriteJSON(w, status, map[string]string{"message": message})
}
