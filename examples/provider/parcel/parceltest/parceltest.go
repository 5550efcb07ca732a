// Package parceltest is a Parcel in memory, on a real HTTP server: what the
// provider's tests run against.
package parceltest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// AdminToken is the administrator's.
const AdminToken = "parcel-admin-token"

// Token is a token of an account.
type Token struct {
	ID        string    `json:"id"`
	Value     string    `json:"value,omitempty"`
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"used_at,omitzero"`
}

// Server is a Parcel.
type Server struct {
	*httptest.Server
	providertest.HTTPFaults

	mu       sync.Mutex
	tokens   map[string][]Token // by account
	settings map[string]string  // by "account/setting"
	apps     map[string]string  // the version that an app runs on
	next     map[string]string  // the version that an app is being restarted with
	asked    map[string]bool    // whether the old process has answered since the restart
	crashing bool
	writes   int
}

// New starts one. Close must be called.
func New() *Server {
	s := &Server{tokens: map[string][]Token{}, settings: map[string]string{}, apps: map[string]string{}, next: map[string]string{}, asked: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /service", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]string{"id": "parcel-1"}) })
	mux.HandleFunc("GET /whoami", s.whoami)
	for route, handle := range map[string]http.HandlerFunc{
		"GET /accounts/{account}/tokens":             s.list,
		"POST /accounts/{account}/tokens":            s.create,
		"PATCH /accounts/{account}/tokens/{id}":      s.change,
		"DELETE /accounts/{account}/tokens/{id}":     s.delete,
		"GET /accounts/{account}/settings/{setting}": s.get,
		"PUT /accounts/{account}/settings/{setting}": s.set,
		"POST /apps/{app}/restart":                   s.restart,
		"GET /apps/{app}":                            s.app,
	} {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+AdminToken {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			handle(w, r)
		})
	}
	s.Server = httptest.NewServer(s.Wrap(mux))
	return s
}

// Tokens are the account's tokens, without their values.
func (s *Server) Tokens(account string) []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.tokens[account])
	for i := range list {
		list[i].Value = ""
	}
	return list
}

// Setting is the value of an account's setting.
func (s *Server) Setting(account, setting string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.settings[account+"/"+setting]
	return value, ok
}

// Writes is how often a setting was written.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Running is the version that an app runs on.
func (s *Server) Running(app string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apps[app]
}

// Crash makes apps crash when they are restarted.
func (s *Server) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crashing = true
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (s *Server) whoami(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	for account, list := range s.tokens {
		for i := range list {
			if list[i].Active && list[i].Value == value {
				list[i].UsedAt = time.Now()
				answer(w, map[string]string{"account": account})
				return
			}
		}
	}
	w.WriteHeader(http.StatusUnauthorized)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	answer(w, append([]Token{}, s.Tokens(r.PathValue("account"))...)) // null is no list
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	account := r.PathValue("account")
	if len(s.tokens[account]) >= 2 {
		w.WriteHeader(http.StatusConflict)
		return
	}
	t := Token{ID: "tok-" + rand.Text()[:8], Value: rand.Text(), Active: true, CreatedAt: time.Now()}
	s.tokens[account] = append(s.tokens[account], t)
	answer(w, t)
}

// at finds a token, and answers 404 where there is none. The lock is held.
func (s *Server) at(w http.ResponseWriter, r *http.Request) (list []Token, i int) {
	list = s.tokens[r.PathValue("account")]
	i = slices.IndexFunc(list, func(t Token) bool { return t.ID == r.PathValue("id") })
	if i < 0 {
		w.WriteHeader(http.StatusNotFound)
	}
	return list, i
}

func (s *Server) change(w http.ResponseWriter, r *http.Request) {
	var body struct{ Active bool }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, i := s.at(w, r); i >= 0 {
		list[i].Active = body.Active
	}
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, i := s.at(w, r)
	switch {
	case i < 0:
	case list[i].Active:
		w.WriteHeader(http.StatusConflict)
	default:
		s.tokens[r.PathValue("account")] = slices.Delete(list, i, i+1)
	}
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	value, ok := s.Setting(r.PathValue("account"), r.PathValue("setting"))
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer(w, map[string]string{"value": value})
}

func (s *Server) set(w http.ResponseWriter, r *http.Request) {
	var body struct{ Value string }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings[r.PathValue("account")+"/"+r.PathValue("setting")] = body.Value
	s.writes++
}

func (s *Server) restart(_ http.ResponseWriter, r *http.Request) {
	var body struct{ Version string }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.crashing {
		s.next[r.PathValue("app")] = body.Version
	}
}

// app answers once more for the old process after a restart, which is healthy,
// and then for the new one.
func (s *Server) app(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, state := r.PathValue("app"), "healthy"
	if s.crashing {
		state = "crashed"
	}
	if next, ok := s.next[app]; ok && s.asked[app] {
		s.apps[app] = next
		delete(s.next, app)
		delete(s.asked, app)
	} else if ok {
		s.asked[app] = true
	}
	answer(w, map[string]string{"state": state, "version": s.apps[app]})
}
