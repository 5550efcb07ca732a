package githubtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// AdminToken is the value of a token that may do everything.
const AdminToken = "github_pat_administrator_0000" //nolint:gosec // of no real GitHub

// Server is a GitHub. Its API is below URL + "/api/v3", as that of a GitHub
// Enterprise Server.
type Server struct {
	*httptest.Server
	providertest.HTTPFaults

	mu           sync.Mutex
	now          func() time.Time
	ticks        time.Duration // see stamp
	last         int64         // the number given out last
	tokens       map[string]*Token
	apps         []*App
	repositories []*repository
	secrets      map[string][]*Secret // by place
	variables    map[string][]*Variable
	keys         map[string]*sealingKey
	workflows    map[string]*Workflow // by repository and file
	runs         []*Run
	hidden       map[int64]int // looks that don't show a run yet
	deployKeys   []*DeployKey
	writes       int
	job          func(secrets, inputs map[string]string) error
	old          bool // see SetOld
}

// repository is one with what belongs to it.
type repository struct {
	id           int64
	owner, name  string
	environments []string
}

// Token is a personal access token, or an installation's.
type Token struct {
	// Permissions are what it may do, such as {"secrets": "write"}. nil is everything.
	Permissions map[string]string
	// Repositories that it may see, as "owner/name". nil is all.
	Repositories []string
	// SSO means that its user hasn't authorized it for the organization's single
	// sign-on.
	SSO bool
	// Expires is shown to whoever uses it.
	Expires      time.Time
	installation bool
}

// New starts a GitHub with organization shop and its repositories shop/api, which
// has the environment production, and shop/web. Close must be called.
func New() *Server {
	s := &Server{
		now: time.Now, tokens: map[string]*Token{AdminToken: {}}, secrets: map[string][]*Secret{}, variables: map[string][]*Variable{},
		keys: map[string]*sealingKey{}, workflows: map[string]*Workflow{}, hidden: map[int64]int{},
	}
	s.AddRepository("shop/api", "production")
	s.AddRepository("shop/web")
	mux := http.NewServeMux()
	s.routeSecrets(mux)
	s.routeVariables(mux)
	s.routeRuns(mux)
	s.routeKeys(mux)
	s.routeApps(mux)
	s.Server = httptest.NewServer(s.Wrap(mux))
	return s
}

// API is the address of the API.
func (s *Server) API() string { return s.URL + "/api/v3" }

// SetNow sets the server's clock, which the dates of its answers show too.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// stamp is the date of a change. GitHub's dates are in seconds; no two changes of the
// stand-in share one, so that tests need not wait between them.
func (s *Server) stamp() time.Time {
	s.ticks += time.Second
	return s.now().UTC().Truncate(time.Second).Add(s.ticks)
}

// AddRepository adds a repository.
func (s *Server) AddRepository(path string, environments ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, name, _ := strings.Cut(path, "/")
	s.repositories = append(s.repositories, &repository{id: s.number(), owner: owner, name: name, environments: environments})
}

// AddToken makes a token and returns its value.
func (s *Server) AddToken(t Token) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	value := "github_pat_" + strings.ToLower(rand.Text())
	s.tokens[value] = &t
	return value
}

// Writes is how often a secret or variable was written.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// number gives out the next number of anything.
func (s *Server) number() int64 { s.last++; return s.last }

func (s *Server) find(owner, name string) *repository {
	for _, r := range s.repositories {
		if strings.EqualFold(r.owner, owner) && strings.EqualFold(r.name, name) {
			return r
		}
	}
	return nil
}

func (r *repository) path() string { return r.owner + "/" + r.name }

// call is a request of somebody who is known, with the server locked.
type call struct {
	*http.Request
	s    *Server
	w    http.ResponseWriter
	body map[string]json.RawMessage
	who  *Token
	repo *repository // the one in the path, if there's one
}

// handle registers what takes a call that needs a permission, such as
// "secrets=write".
func (s *Server) handle(mux *http.ServeMux, pattern, permission string, f func(*call)) {
	method, path, _ := strings.Cut(pattern, " ")
	mux.HandleFunc(method+" /api/v3/"+path, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := &call{Request: r, s: s, w: w}
		_ = json.NewDecoder(r.Body).Decode(&c.body) // without a body there's nothing in it
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
		c.who = s.tokens[bearer(r)]
		if c.who == nil {
			c.fail(http.StatusUnauthorized, "Bad credentials")
			return
		}
		if !c.who.Expires.IsZero() {
			w.Header().Set("GitHub-Authentication-Token-Expiration", c.who.Expires.UTC().Format("2006-01-02 15:04:05 MST"))
		}
		if c.allowed(permission) {
			f(c)
		}
	})
}

func bearer(r *http.Request) string {
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return value
}

// allowed reports whether the caller sees what's in the path and has a permission
// for it; otherwise it answers.
func (c *call) allowed(permission string) bool {
	c.w.Header().Set("X-Accepted-GitHub-Permissions", permission)
	if c.who.SSO {
		c.w.Header().Set("X-GitHub-SSO", "required; url=https://github.com/orgs/shop/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJgah0b2tlbl9pZM4EuMz4")
		c.fail(http.StatusForbidden, "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.")
		return false
	}
	if name := c.PathValue("repo"); name != "" {
		c.repo = c.s.find(c.PathValue("owner"), name)
		if c.repo == nil || c.who.Repositories != nil && !slices.Contains(c.who.Repositories, c.repo.path()) {
			c.fail(http.StatusNotFound, "Not Found")
			return false
		}
	}
	name, level, _ := strings.Cut(permission, "=")
	if has := c.who.Permissions[name]; c.who.Permissions == nil || permission == "" || has == level || has == "write" && level == "read" {
		return true
	}
	message := "Resource not accessible by personal access token"
	if c.who.installation {
		message = "Resource not accessible by integration"
	}
	c.fail(http.StatusForbidden, message)
	return false
}

func (c *call) answer(status int, v any) {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.w.WriteHeader(status)
	if v != nil {
		_ = json.NewEncoder(c.w).Encode(v)
	}
}

func (c *call) fail(status int, message string) {
	c.answer(status, map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)})
}

func (c *call) text(key string) string {
	var s string
	_ = json.Unmarshal(c.body[key], &s)
	return s
}

// page is one page of a list, with the address of the next one in the answer's
// header.
func page[T any](c *call, all []T) []T {
	size, number := 30, 1
	if n, err := strconv.Atoi(c.URL.Query().Get("per_page")); err == nil {
		size = min(n, 100)
	}
	if n, err := strconv.Atoi(c.URL.Query().Get("page")); err == nil {
		number = n
	}
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	if to < len(all) {
		next := url.Values{"per_page": {strconv.Itoa(size)}, "page": {strconv.Itoa(number + 1)}}
		c.w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, c.s.URL, c.URL.Path, next.Encode()))
	}
	return append([]T{}, all[from:to]...)
}
