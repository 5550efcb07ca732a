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

// body is what a token is made of.
type body struct {
	Name      string          `json:"name"`
	Status    string          `json:"status,omitempty"`
	Policies  json.RawMessage `json:"policies"`
	Condition json.RawMessage `json:"condition,omitempty"`
	Expires   time.Time       `json:"expires_on,omitzero"`
}

// New starts a Cloudflare, with two tokens to a page. Close must be called.
func New() *providertest.TokenServer {
	s := providertest.NewTokenServer(refuse)
	const tokens = "/accounts/" + Account + "/tokens"
	// read is a request's body, false if it was refused. A token is all that it says.
	read := func(w http.ResponseWriter, r *http.Request) (b body, text []byte, ok bool) {
		ok = json.NewDecoder(r.Body).Decode(&b) == nil && b.Name != "" && len(b.Policies) > len("[]")
		if !ok {
			refuse(w, http.StatusBadRequest, "Invalid policies")
			return b, nil, false
		}
		text, _ = json.Marshal(b)
		return b, text, true
	}
	one := func(w http.ResponseWriter, r *http.Request, change func(*providertest.ServedToken)) {
		is := func(t providertest.ServedToken) bool { return t.ID == r.PathValue("id") }
		if !s.Change(Account, is, func(t *providertest.ServedToken) { change(t); answer(w, shown(s, *t, ""), nil) }) {
			refuse(w, http.StatusNotFound, "Token not found")
		}
	}
	s.Admin("POST "+tokens, func(w http.ResponseWriter, r *http.Request) {
		if b, text, ok := read(w, r); ok {
			t, _ := s.Make(Account, b.Name, "cfat_", b.Expires, text)
			answer(w, shown(s, t, t.Value), nil)
		}
	})
	s.Admin("GET "+tokens, func(w http.ResponseWriter, r *http.Request) {
		all, list := s.Tokens(Account), []any{}
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		for i := (page - 1) * 2; i < min(page*2, len(all)); i++ {
			list = append(list, shown(s, all[i], ""))
		}
		answer(w, list, map[string]int{"page": page, "total_pages": (len(all) + 1) / 2})
	})
	s.Admin("GET "+tokens+"/{id}", func(w http.ResponseWriter, r *http.Request) { one(w, r, func(*providertest.ServedToken) {}) })
	s.Admin("PUT "+tokens+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if b, text, ok := read(w, r); ok {
			one(w, r, func(t *providertest.ServedToken) {
				t.Name, t.Expires, t.Off, t.Details = b.Name, b.Expires, b.Status == "disabled", text
			})
		}
	})
	s.Admin("DELETE "+tokens+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Remove(Account, func(t providertest.ServedToken) bool { return t.ID == r.PathValue("id") }) {
			refuse(w, http.StatusNotFound, "Token not found")
			return
		}
		answer(w, map[string]string{"id": r.PathValue("id")}, nil)
	})
	s.Token("GET "+tokens+"/verify", func(w http.ResponseWriter, _ *http.Request, t providertest.ServedToken) {
		answer(w, map[string]any{"id": t.ID, "status": "active"}, nil)
	})
	return s
}

// shown is a token as Cloudflare shows it. Its value is in the answer to its creation.
func shown(s *providertest.TokenServer, t providertest.ServedToken, value string) map[string]any {
	v := map[string]any{}
	_ = json.Unmarshal(t.Details, &v)
	v["id"], v["issued_on"], v["status"] = t.ID, t.Created, map[bool]string{true: "disabled", false: "active"}[t.Off]
	if !t.Used.IsZero() {
		v["last_used_on"] = t.Used
	}
	if value != "" {
		v["value"] = value
	}
	return v
}

func answer(w http.ResponseWriter, result, info any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "errors": []any{}, "messages": []any{}, "result": result, "result_info": info})
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "errors": []any{map[string]any{"code": 1000, "message": message}}, "result": nil})
}
