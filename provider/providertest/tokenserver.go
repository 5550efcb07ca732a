package providertest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

// Unlimited is a [rota.Budget] without a limit, for a system that nobody shares.
type Unlimited struct{}

// Take implements [rota.Budget].
func (Unlimited) Take(ctx context.Context, _ string, _ rota.Rate) error { return ctx.Err() }

// TokenServer is what stand-ins for systems with API tokens have in common: a server
// whose requests can go wrong, an administrator, a clock, and the tokens that it made.
// How a system's requests and answers look is the stand-in's. It's safe for concurrent
// use.
type TokenServer struct {
	*httptest.Server
	HTTPFaults

	mux    *http.ServeMux
	refuse func(w http.ResponseWriter, status int, message string)
	mu     sync.Mutex
	now    func() time.Time
	denied bool
	tokens []*ServedToken
	made   int
}

// ServedToken is a token of a [TokenServer].
type ServedToken struct {
	ID                   string // a number
	Account, Name, Value string
	Created              time.Time
	Expires, Used        time.Time // zero for never
	Off                  bool
	Details              json.RawMessage // whatever else the stand-in keeps
}

// AdminToken logs in as a [TokenServer]'s administrator.
const AdminToken = "admin-canary-7Ke2Qx9Lm4Tz8Vb1Nc6R"

// NewTokenServer starts a server. Close must be called. refuse answers as the system
// does if it does nothing.
func NewTokenServer(refuse func(w http.ResponseWriter, status int, message string)) *TokenServer {
	s := &TokenServer{mux: http.NewServeMux(), refuse: refuse, now: time.Now}
	s.Server = httptest.NewServer(s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/json")
		s.mux.ServeHTTP(w, r)
	})))
	return s
}

// Admin has the administrator's requests with a pattern handled, as [http.ServeMux] has
// patterns. Others may not make them.
func (s *TokenServer) Admin(pattern string, handle http.HandlerFunc) {
	s.Token(pattern, func(w http.ResponseWriter, r *http.Request, t ServedToken) {
		s.mu.Lock()
		denied := s.denied || t.Value != AdminToken
		s.mu.Unlock()
		if denied {
			s.refuse(w, http.StatusForbidden, "permission denied")
			return
		}
		handle(w, r)
	})
}

// Token has requests with a pattern handled for everyone with a valid token. It notes
// the use.
func (s *TokenServer) Token(pattern string, handle func(w http.ResponseWriter, r *http.Request, t ServedToken)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		t := ServedToken{Value: value}
		if value != AdminToken {
			s.mu.Lock()
			has := s.valid(value)
			if has != nil {
				has.Used, t = s.now(), *has
			}
			s.mu.Unlock()
			if has == nil { // an unkind proxy repeats what it was sent
				s.refuse(w, http.StatusUnauthorized, "invalid token in "+r.Header.Get("Authorization"))
				return
			}
		}
		handle(w, r, t)
	})
}

// valid is the token with a value that's let in now, nil if there's none.
func (s *TokenServer) valid(value string) *ServedToken {
	i := slices.IndexFunc(s.tokens, func(t *ServedToken) bool {
		return t.Value == value && !t.Off && (t.Expires.IsZero() || s.now().Before(t.Expires))
	})
	if i < 0 {
		return nil
	}
	return s.tokens[i]
}

// Now is the system's time.
func (s *TokenServer) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// SetNow sets the system's clock.
func (s *TokenServer) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Deny forbids the administrator everything.
func (s *TokenServer) Deny() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = true
}

// Make makes a token, which never expires if the time is zero. prefix begins its value.
// It's false if the account has one of that name already.
func (s *TokenServer) Make(account, name, prefix string, expires time.Time, details json.RawMessage) (ServedToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.tokens, func(t *ServedToken) bool { return t.Account == account && t.Name == name }) {
		return ServedToken{}, false
	}
	s.made++
	t := &ServedToken{
		ID: strconv.Itoa(s.made), Account: account, Name: name, Value: prefix + rand.Text(),
		Created: s.now().UTC().Truncate(time.Second), Expires: expires, Details: details,
	}
	s.tokens = append(s.tokens, t)
	return *t, true
}

// Tokens are an account's tokens, in the order in which they were made.
func (s *TokenServer) Tokens(account string) []ServedToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ServedToken
	for _, t := range s.tokens {
		if t.Account == account {
			all = append(all, *t)
		}
	}
	return all
}

// Change changes one of the account's tokens, and reports whether there's such a one.
func (s *TokenServer) Change(account, id string, change func(*ServedToken)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(account, id)
	if i >= 0 {
		change(s.tokens[i])
	}
	return i >= 0
}

// Remove removes one of the account's tokens, and reports whether there was such a one.
func (s *TokenServer) Remove(account, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(account, id)
	if i >= 0 {
		s.tokens = slices.Delete(s.tokens, i, i+1)
	}
	return i >= 0
}

func (s *TokenServer) index(account, id string) int {
	return slices.IndexFunc(s.tokens, func(t *ServedToken) bool { return t.Account == account && t.ID == id })
}

// Expired reports whether a token's time is over.
func (s *TokenServer) Expired(t ServedToken) bool {
	return !t.Expires.IsZero() && !s.Now().Before(t.Expires)
}

// TimeOrNull is a time as JSON has it, null for zero.
func TimeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// WriteJSON writes an answer.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Accepts reports whether a value is let in.
func (s *TokenServer) Accepts(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.valid(value) != nil
}
