package vaulttest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// RootToken may do anything.
const RootToken = "hvs.root-canary-7Qm2" //nolint:gosec // of the stand-in

// Server is the stand-in.
type Server struct {
	*httptest.Server

	mu        sync.Mutex
	tokens    map[string]*token
	policies  map[string][]rule
	mounts    map[string]*mount      // by path, auth methods below auth/
	entries   map[string]*entry      // of KV engines, by mount and path
	roles     map[string]*role       // of AppRole, by mount and name
	dynamic   map[string]dynamicRole // of database and AWS engines, by mount and name
	leases    map[string]*lease
	statics   map[string]*staticRole // of database engines, by mount and name
	sealed    bool
	standby   bool
	community bool
	now       func() time.Time
	made      int
	seen      []string // method and path of each request
}

type mount struct {
	kind, version string
	most          time.Duration // max_lease_ttl
	keeps         int64         // max_versions of a KV engine
}

// mostLease is a server's max_lease_ttl.
const mostLease = 768 * time.Hour

type token struct {
	policies  []string
	end       time.Time // zero if it never ends
	life      time.Duration
	renewable bool
	kind      string
	uses      int64 // shown only
	child     bool  // shown only
	metadata  map[string]string
}

type rule struct {
	path         string
	capabilities []string
}

// New starts a server with the root token alone: no engine is mounted.
func New() *Server { return start((*httptest.Server).Start) }

// NewTLS is New with TLS. Certificate is what clients have to trust.
func NewTLS() *Server { return start((*httptest.Server).StartTLS) }

func start(begin func(*httptest.Server)) *Server {
	s := &Server{tokens: map[string]*token{RootToken: {policies: []string{"root"}, kind: "service"}}, policies: map[string][]rule{}, mounts: map[string]*mount{},
		entries: map[string]*entry{}, roles: map[string]*role{}, statics: map[string]*staticRole{}, dynamic: map[string]dynamicRole{}, leases: map[string]*lease{}, now: time.Now}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // clients that don't trust its certificate
	begin(s.Server)
	return s
}

// SetNow sets the clock. Defaults to time.Now.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Seal seals the server, and Unseal unseals it.
func (s *Server) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// Standby makes it send clients to another server, as one does that's on standby and
// doesn't forward.
func (s *Server) Standby(standby bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standby = standby
}

// Community makes it say that it's Vault's community edition, as that does from 1.16 on.
func (s *Server) Community() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.community = true
}

// Requests are the method and path of each request so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// reply is one answer.
type reply struct {
	status int
	body   map[string]any
}

func data(m map[string]any) reply { return reply{200, map[string]any{"data": m}} }
func refuse(status int, texts ...string) reply {
	if texts == nil {
		texts = []string{}
	}
	return reply{status, map[string]any{"errors": texts}}
}

var nothing = reply{204, nil}

// request is one as the handlers see it.
type request struct {
	method, path string // LIST is a method; the path is below /v1/
	body         map[string]any
	token        string
	query        url.Values
}

func (r request) text(key string) string {
	text, _ := r.body[key].(string)
	return text
}

func (s *Server) serve(w http.ResponseWriter, hr *http.Request) {
	r := request{method: hr.Method, path: strings.TrimPrefix(hr.URL.Path, "/v1/"), token: hr.Header.Get("X-Vault-Token"), body: map[string]any{}, query: hr.URL.Query()}
	if namespace := hr.Header.Get("X-Vault-Namespace"); namespace != "" {
		r.path = strings.Trim(namespace, "/") + "/" + r.path
	}
	if hr.URL.Query().Get("list") == "true" {
		r.method = "LIST"
	}
	decoder := json.NewDecoder(hr.Body)
	decoder.UseNumber()
	_ = decoder.Decode(&r.body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.method+" "+r.path)
	out := s.answer(r)
	if out.status == http.StatusTemporaryRedirect {
		w.Header().Set("Location", "http://127.0.0.1:1"+hr.URL.Path)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.WriteHeader(out.status)
	if out.body != nil {
		_ = json.NewEncoder(w).Encode(out.body)
	}
}

func (s *Server) answer(r request) reply {
	if r.path == "sys/health" {
		health := map[string]any{"initialized": true, "sealed": s.sealed, "standby": s.standby, "version": "stand-in", "cluster_id": s.URL}
		if s.community {
			health["enterprise"] = false
		}
		return reply{200, health}
	}
	switch {
	case s.sealed:
		return refuse(503, "Vault is sealed")
	case s.standby:
		return reply{307, nil}
	case strings.HasPrefix(r.path, "auth/") && strings.HasSuffix(r.path, "/login"):
		return s.login(r)
	}
	t := s.tokens[r.token]
	if t == nil || !t.end.IsZero() && s.now().After(t.end) {
		return refuse(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	}
	if strings.HasPrefix(r.path, "sys/internal/ui/mounts/") {
		return s.uiMount(t, strings.TrimPrefix(r.path, "sys/internal/ui/mounts/"))
	}
	if !s.allowed(t, r) {
		return refuse(403, "1 error occurred:\n\t* permission denied\n\n")
	}
	switch {
	case strings.HasPrefix(r.path, "sys/"):
		return s.sys(t, r)
	case strings.HasPrefix(r.path, "auth/token/"):
		return s.token(t, r)
	}
	name, m := s.mountAt(r.path)
	if m == nil {
		return refuse(404, fmt.Sprintf("no handler for route %q. route entry not found.", r.path))
	}
	rest := strings.TrimPrefix(r.path, name+"/")
	switch m.kind {
	case "kv":
		return s.kv(name, m, rest, r)
	case "approle":
		return s.approle(name, rest, r)
	case "database":
		return s.database(name, rest, r)
	case "aws":
		return s.aws(name, rest, r)
	}
	return refuse(404)
}

// mountAt is the mount that a path leads to.
func (s *Server) mountAt(path string) (string, *mount) {
	for name, m := range s.mounts {
		if strings.HasPrefix(path+"/", name+"/") {
			return name, m
		}
	}
	return "", nil
}

func (s *Server) uiMount(t *token, path string) reply {
	name, m := s.mountAt(path)
	if m == nil || !slices.Contains(t.policies, "root") && !slices.ContainsFunc(s.rules(t), func(r rule) bool { return strings.HasPrefix(r.path, name+"/") }) {
		return refuse(403, `preflight capability check returned 403, please ensure client's policies grant access to path "`+path+`/"`)
	}
	return data(map[string]any{"type": m.kind, "options": map[string]any{"version": m.version}, "path": name + "/",
		"config": map[string]any{"max_lease_ttl": seconds(cmp.Or(m.most, mostLease))}})
}

func (s *Server) rules(t *token) []rule {
	all := []rule{{"auth/token/lookup-self", []string{"read"}}, {"auth/token/renew-self", []string{"update"}}, {"auth/token/revoke-self", []string{"update"}}, {"sys/capabilities-self", []string{"update"}}}
	if slices.Contains(t.policies, "none") {
		all = nil
	}
	for _, p := range t.policies {
		all = append(all, s.policies[p]...)
	}
	return all
}

func (s *Server) capabilities(t *token, path string) []string {
	if slices.Contains(t.policies, "root") {
		return []string{"root"}
	}
	var all []string
	for _, r := range s.rules(t) {
		if r.path == path || strings.HasSuffix(r.path, "*") && strings.HasPrefix(path, strings.TrimSuffix(r.path, "*")) {
			all = append(all, r.capabilities...)
		}
	}
	if all == nil {
		return []string{"deny"}
	}
	return all
}

func (s *Server) allowed(t *token, r request) bool {
	has := s.capabilities(t, r.path)
	if slices.Contains(has, "root") {
		return true
	}
	need := map[string]string{"GET": "read", "LIST": "list", "DELETE": "delete"}[r.method]
	if need == "" {
		need = "update"
		if s.isNew(r.path) {
			need = "create"
		}
	}
	return slices.Contains(has, need)
}

var stanza = regexp.MustCompile(`path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}`)

func (s *Server) sys(t *token, r request) reply {
	switch kind, name, _ := strings.Cut(strings.TrimPrefix(r.path, "sys/"), "/"); kind {
	case "mounts":
		options, _ := r.body["options"].(map[string]any)
		version, _ := options["version"].(string)
		s.mounts[name] = &mount{kind: r.text("type"), version: version}
	case "auth":
		if at, tunes := strings.CutSuffix(name, "/tune"); tunes {
			s.mounts["auth/"+at].most = duration(r.body["max_lease_ttl"])
			break
		}
		s.mounts["auth/"+name] = &mount{kind: r.text("type")}
	case "policies":
		var rules []rule
		for _, found := range stanza.FindAllStringSubmatch(r.text("policy"), -1) {
			var capabilities []string
			for one := range strings.SplitSeq(found[2], ",") {
				capabilities = append(capabilities, strings.Trim(one, ` "`))
			}
			rules = append(rules, rule{found[1], capabilities})
		}
		s.policies[strings.TrimPrefix(name, "acl/")] = rules
	case "leases":
		return s.sysLeases(name, r)
	case "capabilities-self":
		out := map[string]any{}
		paths, _ := r.body["paths"].([]any)
		for _, p := range paths {
			out[p.(string)] = s.capabilities(t, p.(string))
		}
		return data(out)
	default:
		return refuse(404)
	}
	return nothing
}

// next is a value that no other has.
func (s *Server) next(prefix string) string {
	s.made++
	return fmt.Sprintf("%s-%06d-canary", prefix, s.made)
}
