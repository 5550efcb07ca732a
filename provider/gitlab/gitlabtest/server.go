package gitlabtest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// AdminToken is the value of an administrator's token, which may do everything.
const AdminToken = "glpat-administrator-0000" //nolint:gosec // of no real GitLab

// The roles, as GitLab numbers them.
const (
	Developer  = 30
	Maintainer = 40
	Owner      = 50
)

// Server is a GitLab.
type Server struct {
	*httptest.Server
	providertest.HTTPFaults

	mu        sync.Mutex
	now       func() time.Time
	last      int64 // the number given out last
	tokens    []*Token
	projects  []*project
	variables map[string][]Variable // by place
	triggers  []*Trigger
	deploys   []*DeployToken
	writes    int
	job       func(map[string]string) error

	reuses     int
	noRegistry bool
	older      bool
	free       bool
	quick      bool
}

// project is one with its pipelines.
type project struct {
	id        int64
	path      string
	jobs      []Job
	pipelines []*Pipeline
	noCI      bool

	noEnvironments bool
}

// New starts a GitLab with the project shop/api, number 1. Close must be called.
func New() *Server {
	s := &Server{now: time.Now, variables: map[string][]Variable{}}
	s.tokens = []*Token{{ID: s.number(), Name: "administrator", Value: AdminToken, UserID: 1, Scopes: []string{"api"}, Admin: true, Level: Owner}}
	s.AddProject("shop/api", Job{Name: "build"}, Job{Name: "deploy", Environment: "production"})
	mux := http.NewServeMux()
	s.routeVariables(mux)
	s.routePipelines(mux)
	s.routeTokens(mux)
	s.routeDeployTokens(mux)
	s.Server = httptest.NewServer(s.dated(s.Wrap(mux)))
	return s
}

// SetNow sets the server's clock, which the dates of its answers show too.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// BeQuick makes pipelines and jobs end as soon as they begin, but for stuck ones.
func (s *Server) BeQuick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quick = true
}

func (s *Server) dated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// BeOlder makes the server a GitLab from before 2024: it refuses pipeline states that
// came later, ignores words that narrow a list down, and hides no variable.
func (s *Server) BeOlder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.older = true
}

// BeFree makes the server one without a license: variables of a group belong to every
// environment, whatever a request says.
func (s *Server) BeFree() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = true
}

// AddProject adds a project whose pipelines have these jobs.
func (s *Server) AddProject(path string, jobs ...Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects = append(s.projects, &project{id: int64(len(s.projects) + 1), path: path, jobs: jobs})
}

// Writes is how often a variable was written.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// number gives out the next number of anything.
func (s *Server) number() int64 { s.last++; return s.last }

// call is a request of somebody who is known, with the server locked.
type call struct {
	*http.Request
	w    http.ResponseWriter
	body map[string]json.RawMessage
	who  *Token
}

// handle registers what takes a call with a valid token.
func (s *Server) handle(mux *http.ServeMux, pattern string, f func(*call)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := &call{Request: r, w: w}
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			_ = json.NewDecoder(r.Body).Decode(&c.body) // without a body there's nothing in it
		}
		if c.who = s.bearer(r.Header.Get("Private-Token")); c.who == nil {
			s.detectReuse(r)
			c.fail(http.StatusUnauthorized, "401 Unauthorized")
			return
		}
		c.who.use(s.now())
		f(c)
	})
}

// may reports whether the caller has a scope and a role; otherwise it answers.
func (c *call) may(scope string, level int) bool {
	has := func(scope string) bool { return slices.Contains(c.who.Scopes, scope) }
	if !has("api") && !has(scope) {
		c.answer(http.StatusForbidden, map[string]string{"error": "insufficient_scope", "error_description": "The request requires higher privileges than provided by the access token."})
		return false
	}
	if c.who.Level < level {
		c.fail(http.StatusForbidden, "403 Forbidden")
		return false
	}
	return true
}

// project finds the one in the path; otherwise it answers 404.
func (s *Server) project(c *call) *project {
	id := c.PathValue("id")
	for _, p := range s.projects {
		if strings.EqualFold(p.path, id) || strconv.FormatInt(p.id, 10) == id {
			return p
		}
	}
	c.fail(http.StatusNotFound, "404 Project Not Found")
	return nil
}

func (c *call) answer(status int, v any) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_ = json.NewEncoder(c.w).Encode(v)
}

func (c *call) fail(status int, message any) { c.answer(status, map[string]any{"message": message}) }

func (c *call) text(key string) string {
	var s string
	_ = json.Unmarshal(c.body[key], &s)
	return s
}

func (c *call) list(key string) []string {
	var list []string
	_ = json.Unmarshal(c.body[key], &list)
	return list
}

// set changes a flag if the body has it.
func (c *call) set(key string, flag *bool) {
	if raw, ok := c.body[key]; ok {
		_ = json.Unmarshal(raw, flag)
	}
}

// page answers one page of a list, newest first as it's given.
func page[T any](c *call, all []T) {
	size, number := 20, 1
	if n, err := strconv.Atoi(c.URL.Query().Get("per_page")); err == nil {
		size = min(n, 100)
	}
	if n, err := strconv.Atoi(c.URL.Query().Get("page")); err == nil {
		number = n
	}
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	if to < len(all) {
		c.w.Header().Set("X-Next-Page", strconv.Itoa(number+1))
	}
	c.answer(http.StatusOK, append([]T{}, all[from:to]...))
}

func secret(prefix string) string { return prefix + strings.ToLower(rand.Text()) }
