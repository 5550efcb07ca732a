package gitlabtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Token is a personal, project or group access token.
type Token struct {
	ID      int64
	Name    string
	Value   string
	UserID  int64
	Scopes  []string
	Level   int // the role
	Admin   bool
	Place   string // "project shop/api", "group shop"; "" for a personal one
	Created time.Time
	Expires time.Time // midnight UTC of the day; zero for never
	Used    time.Time
	Revoked bool
	family  int64 // the number of the first one that it was rotated from
}

// Trigger is a pipeline trigger token.
type Trigger struct {
	ID          int64
	Description string
	Value       string
	Path        string
	Created     time.Time
	Used        time.Time
}

// AddToken makes a token, as a person would, and returns its value.
func (s *Server) AddToken(t Token) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ID, t.Created = s.number(), s.now()
	if t.Value == "" {
		t.Value = secret("glpat-")
	}
	if t.UserID == 0 {
		t.UserID = s.number()
	}
	t.family = t.ID
	s.tokens = append(s.tokens, &t)
	return t.Value
}

func (t *Token) active(now time.Time) bool {
	return !t.Revoked && (t.Expires.IsZero() || now.Before(t.Expires))
}

// bearer is the token that a value belongs to, if it's valid.
func (s *Server) bearer(value string) *Token {
	for _, t := range s.tokens {
		if value != "" && t.Value == value && t.active(s.now()) {
			return t
		}
	}
	return nil
}

// use notes a use. GitLab writes the time down once in ten minutes.
func (t *Token) use(now time.Time) {
	if now.Sub(t.Used) >= 10*time.Minute {
		t.Used = now
	}
}

func (s *Server) tokenJSON(t *Token) map[string]any {
	shown := map[string]any{"id": t.ID, "name": t.Name, "revoked": t.Revoked, "created_at": t.Created, "scopes": t.Scopes, "user_id": t.UserID, "active": t.active(s.now()), "expires_at": nil, "last_used_at": nil}
	if !t.Expires.IsZero() {
		shown["expires_at"] = t.Expires.Format(time.DateOnly)
	}
	if !t.Used.IsZero() {
		shown["last_used_at"] = t.Used
	}
	if t.Place != "" {
		shown["access_level"] = t.Level
	}
	return shown
}

func (s *Server) routeTokens(mux *http.ServeMux) {
	for _, prefix := range []string{"/personal_access_tokens", "/projects/{id}/access_tokens", "/groups/{id}/access_tokens"} {
		s.handle(mux, "POST /api/v4"+prefix+"/{token}/rotate", s.rotateToken)
	}
	s.handle(mux, "GET /api/v4/personal_access_tokens/self", func(c *call) { c.answer(http.StatusOK, s.tokenJSON(c.who)) })
	s.handle(mux, "GET /api/v4/metadata", func(c *call) {
		c.answer(http.StatusOK, map[string]any{"version": map[bool]string{true: "16.5.8", false: "18.6.1"}[s.older], "enterprise": !s.free})
	})
	s.handle(mux, "GET /api/v4/version", func(c *call) {
		c.answer(http.StatusOK, map[string]string{"version": map[bool]string{true: "16.5.8-ee", false: "18.6.1-ee"}[s.older]})
	})
	s.routeAccessTokens(mux)
}

func (s *Server) trigger(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Request: r, w: w}
	_ = json.NewDecoder(r.Body).Decode(&c.body)
	p := s.project(c)
	if p == nil {
		return
	}
	for _, t := range s.triggers {
		if t.Value == c.text("token") && t.Path == p.path {
			if c.text("ref") == "main" {
				t.Used = s.now()
			}
			var values map[string]string
			_ = json.Unmarshal(c.body["variables"], &values)
			s.answerStarted(c, p, c.text("ref"), "trigger", "owner", values)
			return
		}
	}
	c.fail(http.StatusNotFound, "404 Not Found")
}

// AddTrigger makes a pipeline trigger token and returns its value.
func (s *Server) AddTrigger(path, description string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Trigger{ID: s.number(), Description: description, Value: secret("glptt-"), Path: path, Created: s.now()}
	s.triggers = append(s.triggers, t)
	return t.Value
}

// Accepts reports whether a value is that of a valid token. It doesn't count as a
// use.
func (s *Server) Accepts(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bearer(value) != nil || slices.ContainsFunc(s.triggers, func(t *Trigger) bool { return t.Value == value })
}
