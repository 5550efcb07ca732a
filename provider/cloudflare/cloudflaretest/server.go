// Package cloudflaretest is a stand-in for the API tokens of Cloudflare's accounts, in
// memory. It isn't Cloudflare: it answers as its documentation says
// (developers.cloudflare.com/api/resources/accounts/subresources/tokens).
package cloudflaretest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// Account is the id of an account.
const Account = "023e105f4ecef8ad9ca31a8372d0c353"

const tokens = "/accounts/" + Account + "/tokens"

// token is what a token is made of.
type token struct {
	Name      string          `json:"name"`
	Status    string          `json:"status"`
	Policies  json.RawMessage `json:"policies"`
	Condition json.RawMessage `json:"condition,omitempty"`
	Expires   time.Time       `json:"expires_on,omitzero"`
}

// New starts a Cloudflare that has two tokens to a page. Close must be called.
func New() *providertest.TokenServer {
	s := providertest.NewTokenServer(refuse)
	// change makes all that a token is what the request says.
	change := func(handle func(w http.ResponseWriter, r *http.Request, b token, text []byte)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b := token{Status: "active"}
			if json.NewDecoder(r.Body).Decode(&b) != nil || b.Name == "" || len(b.Policies) <= len("[]") {
				refuse(w, http.StatusBadRequest, "Invalid policies")
				return
			}
			text, _ := json.Marshal(b)
			handle(w, r, b, text)
		}
	}
	one := func(w http.ResponseWriter, id string, change func(*providertest.ServedToken)) {
		if !s.Change(Account, id, func(t *providertest.ServedToken) { change(t); answer(w, shown(*t, ""), 1) }) {
			refuse(w, http.StatusNotFound, "Token not found")
		}
	}
	s.Admin("POST "+tokens, change(func(w http.ResponseWriter, _ *http.Request, b token, text []byte) {
		t, _ := s.Make(Account, b.Name, "cfat_", b.Expires, text)
		answer(w, shown(t, t.Value), 1)
	}))
	s.Admin("GET "+tokens, func(w http.ResponseWriter, r *http.Request) {
		all, list := s.Tokens(Account), []any{}
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		for i := (page - 1) * 2; i < min(page*2, len(all)); i++ {
			list = append(list, shown(all[i], ""))
		}
		answer(w, list, (len(all)+1)/2)
	})
	s.Admin("GET "+tokens+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		one(w, r.PathValue("id"), func(*providertest.ServedToken) {})
	})
	s.Admin("PUT "+tokens+"/{id}", change(func(w http.ResponseWriter, r *http.Request, b token, text []byte) {
		one(w, r.PathValue("id"), func(t *providertest.ServedToken) {
			t.Name, t.Expires, t.Off, t.Details = b.Name, b.Expires, b.Status == "disabled", text
		})
	}))
	s.Admin("DELETE "+tokens+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Remove(Account, r.PathValue("id")) {
			refuse(w, http.StatusNotFound, "Token not found")
			return
		}
		answer(w, map[string]string{"id": r.PathValue("id")}, 1)
	})
	s.Token("GET "+tokens+"/verify", func(w http.ResponseWriter, _ *http.Request, t providertest.ServedToken) {
		answer(w, map[string]any{"id": t.ID, "status": "active"}, 1)
	})
	return s
}

// shown is a token as Cloudflare shows it. Its value is in the answer to its creation.
func shown(t providertest.ServedToken, value string) map[string]any {
	v := map[string]any{}
	_ = json.Unmarshal(t.Details, &v)
	v["id"], v["issued_on"], v["last_used_on"], v["value"] = t.ID, t.Created, providertest.TimeOrNull(t.Used), value
	return v
}

func answer(w http.ResponseWriter, result any, pages int) {
	providertest.WriteJSON(w, http.StatusOK, map[string]any{"success": true, "errors": []any{}, "result": result, "result_info": map[string]int{"total_pages": pages}})
}

func refuse(w http.ResponseWriter, status int, message string) {
	providertest.WriteJSON(w, status, map[string]any{"success": false, "errors": []any{map[string]any{"code": 1000, "message": message}}})
}
