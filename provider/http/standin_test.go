package http_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

const adminToken = "admin-canary-9Qw2"

// made is a key of a stand-in.
type made struct {
	id, name, value string
	created, used   time.Time
	off             bool
}

// standIn is a server in memory that answers as a vendor's API documentation says.
// It isn't the vendor's: see each vendor's constructor.
type standIn struct {
	*httptest.Server
	providertest.HTTPFaults
	mu    sync.Mutex
	keys  []*made
	count int
	// last is the body of each resource that was written, by its path.
	last   map[string]string
	writes int
}

func newStandIn(t testing.TB, routes func(s *standIn, mux *http.ServeMux)) *standIn {
	t.Helper()
	s := &standIn{last: map[string]string{}}
	mux := http.NewServeMux()
	routes(s, mux)
	s.Server = httptest.NewServer(s.Wrap(mux))
	t.Cleanup(s.Close)
	return s
}

// inject plants a fault for a method of the issuer.
func (s *standIn) inject(op string, kind providertest.FaultKind) bool {
	matches := map[string]func(*http.Request) bool{
		"create": func(r *http.Request) bool {
			return r.Method == http.MethodPost && !strings.Contains(r.URL.Path, "/switch")
		},
		"list":   func(r *http.Request) bool { return r.Method == http.MethodGet && isAdmin(r) },
		"test":   func(r *http.Request) bool { return r.Method == http.MethodGet && !isAdmin(r) },
		"check":  func(r *http.Request) bool { return r.Method == http.MethodGet && !isAdmin(r) },
		"delete": func(r *http.Request) bool { return r.Method == http.MethodDelete }, "deliver": func(r *http.Request) bool { return r.Method == http.MethodPut },
		"reload":     func(r *http.Request) bool { return r.Method == http.MethodPost },
		"deactivate": func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/switch/off") },
		"reactivate": func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/switch/on") },
	}[op]
	if matches == nil {
		return false
	}
	if op == "delete" && kind == providertest.Hang { // what it asks first
		matches = isAdmin
	}
	s.When(matches, kind)
	return true
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func isAdmin(r *http.Request) bool { return bearer(r) == adminToken }

// admin lets the administrator alone through.
func admin(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !isAdmin(r) {
			answer(w, http.StatusUnauthorized, map[string]string{"message": "Unauthorized: " + bearer(r)})
			return
		}
		handle(w, r)
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if v != nil {
		_ = json.NewEncoder(w).Encode(v)
	}
}

// create makes a key with the name that the request's body has.
func (s *standIn) create(r *http.Request) *made {
	var body struct{ Name string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	k := &made{id: strconv.Itoa(s.count), name: body.Name, value: "key-" + rand.Text(), created: time.Now().UTC().Truncate(time.Second)}
	s.keys = append(s.keys, k)
	return k
}

func (s *standIn) all() []made {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []made
	for _, k := range s.keys {
		out = append(out, *k)
	}
	return out
}

// remove deletes a key and reports whether it was there.
func (s *standIn) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.keys)
	s.keys = slices.DeleteFunc(s.keys, func(k *made) bool { return k.id == id })
	return len(s.keys) < n
}

// whoever answers a request that any valid key may send.
func (s *standIn) whoever(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.value == bearer(r) && !k.off {
			k.used = time.Now().UTC()
			answer(w, http.StatusOK, map[string]any{"success": true})
			return
		}
	}
	answer(w, http.StatusUnauthorized, map[string]string{"message": "Invalid key " + bearer(r)})
}

// grafana is a stand-in for Grafana's service account API, from
// grafana.com/docs/grafana/latest/developers/http_api/serviceaccount.
func grafana(t testing.TB) *standIn {
	return newStandIn(t, func(s *standIn, mux *http.ServeMux) {
		mux.HandleFunc("POST /api/serviceaccounts/2/tokens", admin(func(w http.ResponseWriter, r *http.Request) {
			k := s.create(r)
			answer(w, 200, map[string]any{"id": number(k.id), "name": k.name, "key": k.value})
		}))
		mux.HandleFunc("GET /api/serviceaccounts/2/tokens", admin(func(w http.ResponseWriter, _ *http.Request) {
			list := []any{}
			for _, k := range s.all() {
				item := map[string]any{"id": number(k.id), "name": k.name, "created": k.created.Format(time.RFC3339), "expiration": nil, "secondsUntilExpiration": 0, "hasExpired": false, "isRevoked": false}
				if !k.used.IsZero() {
					item["lastUsedAt"] = k.used.Format(time.RFC3339)
				}
				list = append(list, item)
			}
			answer(w, 200, list)
		}))
		mux.HandleFunc("DELETE /api/serviceaccounts/2/tokens/{id}", admin(func(w http.ResponseWriter, r *http.Request) {
			if !s.remove(r.PathValue("id")) {
				answer(w, 404, map[string]string{"message": "Service account token not found"})
				return
			}
			answer(w, 200, map[string]string{"message": "Service account token deleted"})
		}))
		mux.HandleFunc("GET /api/org", s.whoever)
	})
}

// cloudflare is a stand-in for Cloudflare's user tokens, from
// developers.cloudflare.com/api/resources/user/subresources/tokens. Its pages are
// small, so that tests see several.
func cloudflare(t testing.TB) *standIn {
	item := func(k made) map[string]any {
		m := map[string]any{"id": k.id, "name": k.name, "status": "active", "issued_on": k.created.Format(time.RFC3339)}
		if !k.used.IsZero() {
			m["last_used_on"] = k.used.Format(time.RFC3339)
		}
		return m
	}
	return newStandIn(t, func(s *standIn, mux *http.ServeMux) {
		mux.HandleFunc("POST /client/v4/user/tokens", admin(func(w http.ResponseWriter, r *http.Request) {
			k := s.create(r)
			m := item(*k)
			m["value"] = k.value
			answer(w, 200, map[string]any{"success": true, "errors": []any{}, "result": m})
		}))
		mux.HandleFunc("GET /client/v4/user/tokens", admin(func(w http.ResponseWriter, r *http.Request) {
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
			if page < 1 || size < 5 || size > 50 {
				answer(w, 400, map[string]any{"success": false, "errors": []any{map[string]any{"code": 1001, "message": "bad page"}}})
				return
			}
			list := []any{}
			for i, k := range s.all() {
				if i/2 == page-1 {
					list = append(list, item(k))
				}
			}
			answer(w, 200, map[string]any{"success": true, "result": list})
		}))
		mux.HandleFunc("GET /client/v4/user/tokens/verify", s.whoever)
		mux.HandleFunc("DELETE /client/v4/user/tokens/{id}", admin(func(w http.ResponseWriter, r *http.Request) {
			if !s.remove(r.PathValue("id")) {
				answer(w, 404, map[string]any{"success": false, "errors": []any{map[string]any{"code": 1003, "message": "not found"}}})
				return
			}
			answer(w, 200, map[string]any{"success": true, "result": map[string]string{"id": r.PathValue("id")}})
		}))
	})
}

// sendgrid is a stand-in for SendGrid's API keys, from
// twilio.com/docs/sendgrid/api-reference/api-keys. Its list has names and ids only.
func sendgrid(t testing.TB) *standIn {
	return newStandIn(t, func(s *standIn, mux *http.ServeMux) {
		mux.HandleFunc("POST /v3/api_keys", admin(func(w http.ResponseWriter, r *http.Request) {
			k := s.create(r)
			answer(w, 201, map[string]any{"api_key": k.value, "api_key_id": k.id, "name": k.name, "scopes": []string{"mail.send"}})
		}))
		mux.HandleFunc("GET /v3/api_keys", admin(func(w http.ResponseWriter, _ *http.Request) {
			list := []any{}
			for _, k := range s.all() {
				list = append(list, map[string]string{"name": k.name, "api_key_id": k.id})
			}
			answer(w, 200, map[string]any{"result": list})
		}))
		mux.HandleFunc("DELETE /v3/api_keys/{id}", admin(func(w http.ResponseWriter, r *http.Request) {
			if !s.remove(r.PathValue("id")) {
				answer(w, 404, map[string]any{"errors": []any{map[string]string{"message": "unable to find API Key"}}})
				return
			}
			answer(w, 204, nil)
		}))
		mux.HandleFunc("GET /v3/scopes", s.whoever)
	})
}

// switches is a made-up API whose keys can be switched off, with cursors for pages.
func switches(t testing.TB) *standIn {
	flip := func(s *standIn, off bool) http.HandlerFunc {
		return admin(func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			at := slices.IndexFunc(s.keys, func(k *made) bool { return k.id == r.PathValue("id") })
			if at < 0 {
				answer(w, 404, nil)
				return
			}
			s.keys[at].off = off
			answer(w, 204, nil)
		})
	}
	return newStandIn(t, func(s *standIn, mux *http.ServeMux) {
		mux.HandleFunc("POST /keys", admin(func(w http.ResponseWriter, r *http.Request) {
			k := s.create(r)
			answer(w, 201, map[string]any{"data": map[string]string{"id": k.id, "secret": k.value}})
		}))
		mux.HandleFunc("GET /keys", admin(func(w http.ResponseWriter, r *http.Request) {
			from, _ := strconv.Atoi(r.URL.Query().Get("after"))
			all, list, next := s.all(), []any{}, ""
			for i := from; i < len(all); i++ {
				if i == from+2 {
					next = strconv.Itoa(i)
					break
				}
				state := "on"
				if all[i].off {
					state = "off"
				}
				list = append(list, map[string]any{"id": all[i].id, "label": all[i].name, "state": state, "made": all[i].created.Unix(), "seen": seconds(all[i].used)})
			}
			answer(w, 200, map[string]any{"data": list, "cursor": next})
		}))
		mux.HandleFunc("POST /keys/{id}/switch/off", flip(s, true))
		mux.HandleFunc("POST /keys/{id}/switch/on", flip(s, false))
		mux.HandleFunc("DELETE /keys/{id}", admin(func(w http.ResponseWriter, r *http.Request) {
			if !s.remove(r.PathValue("id")) {
				answer(w, 404, nil)
				return
			}
			answer(w, 204, nil)
		}))
		mux.HandleFunc("GET /me", s.whoever)
		mux.HandleFunc("PUT /settings/{name}", admin(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last[r.PathValue("name")] = string(body)
			s.writes++
			answer(w, 204, nil)
		}))
		mux.HandleFunc("POST /deploys", admin(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.mu.Lock()
			defer s.mu.Unlock()
			var d struct{ Version string }
			_ = json.Unmarshal(body, &d)
			s.last["next"], s.last["asked"] = d.Version, ""
			answer(w, 202, nil)
		}))
		mux.HandleFunc("GET /deploys/last", admin(func(w http.ResponseWriter, _ *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.last["asked"] != "" && s.last["next"] != "sick" { // the old process answers once more
				s.last["running"] = s.last["next"]
			}
			s.last["asked"] = "yes"
			answer(w, 200, map[string]any{"app": map[string]string{"version": s.last["running"]}})
		}))
	})
}

func number(id string) json.Number { return json.Number(id) }

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
