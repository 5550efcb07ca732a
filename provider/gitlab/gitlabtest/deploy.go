package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DeployToken is a deploy token.
type DeployToken struct {
	ID       int64
	Name     string
	Username string
	Value    string
	Scopes   []string
	Place    string // "project shop/api", "group shop"
	Expires  time.Time
	Revoked  bool
}

// AddDeployToken makes a deploy token, as a person would, and returns it.
func (s *Server) AddDeployToken(t DeployToken) DeployToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.addDeployToken(&t)
}

func (s *Server) addDeployToken(t *DeployToken) *DeployToken {
	t.ID, t.Value = s.number(), secret("gldt-")
	if t.Username == "" {
		t.Username = "gitlab+deploy-token-" + strconv.FormatInt(t.ID, 10)
	}
	s.deploys = append(s.deploys, t)
	return t
}

// DeployTokens are the deploy tokens of a place, such as "project shop/api", without
// their values.
func (s *Server) DeployTokens(place string) []DeployToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return shown(s.deploys, func(t *DeployToken) bool { return t.Place == place }, func(t *DeployToken) { t.Value = "" })
}

// AcceptsDeployToken reports whether a pair is that of a valid deploy token.
func (s *Server) AcceptsDeployToken(username, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deployBearer(username, value) != nil
}

// SetRegistry says whether the instance has a container registry. It has one at first.
func (s *Server) SetRegistry(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noRegistry = !on
}

func (s *Server) deployBearer(username, value string) *DeployToken {
	for _, t := range s.deploys {
		if value != "" && t.Value == value && t.Username == username && t.active(s.now()) {
			return t
		}
	}
	return nil
}

func (t *DeployToken) active(now time.Time) bool {
	return !t.Revoked && (t.Expires.IsZero() || now.Before(t.Expires))
}

func (s *Server) deployJSON(t *DeployToken) map[string]any {
	shown := map[string]any{"id": t.ID, "name": t.Name, "username": t.Username, "scopes": t.Scopes, "revoked": t.Revoked, "expired": !t.Expires.IsZero() && !s.now().Before(t.Expires), "expires_at": nil}
	if !t.Expires.IsZero() {
		shown["expires_at"] = t.Expires
	}
	return shown
}

var deployScopes = []string{"read_repository", "read_registry", "write_registry", "read_package_registry", "write_package_registry", "read_virtual_registry", "write_virtual_registry"}

func (s *Server) routeDeployTokens(mux *http.ServeMux) {
	mux.HandleFunc("GET /jwt/auth", s.registryLogin)
	mux.HandleFunc("GET /{group}/{repository}/info/refs", s.infoRefs)
	for prefix, place := range map[string]func(*call) (string, bool){
		"/api/v4/projects/{id}/deploy_tokens": func(c *call) (string, bool) {
			p := s.project(c)
			return "project " + pathOf(p), p != nil && c.may("", Maintainer)
		},
		"/api/v4/groups/{id}/deploy_tokens": func(c *call) (string, bool) {
			return "group " + strings.ToLower(c.PathValue("id")), c.may("", Owner)
		},
	} {
		at := func(f func(c *call, at string)) func(*call) {
			return func(c *call) {
				if at, ok := place(c); ok {
					f(c, at)
				}
			}
		}
		s.handle(mux, "GET "+prefix, at(s.listDeployTokens))
		s.handle(mux, "POST "+prefix, at(s.createDeployToken))
		s.handle(mux, "GET "+prefix+"/{token}", at(s.oneDeployToken))
		s.handle(mux, "DELETE "+prefix+"/{token}", at(s.oneDeployToken))
	}
}

func (s *Server) listDeployTokens(c *call, at string) {
	var list []any
	for _, t := range s.deploys {
		if t.Place == at && (c.URL.Query().Get("active") != "true" || t.active(s.now())) {
			list = append(list, s.deployJSON(t))
		}
	}
	page(c, list)
}

func (s *Server) createDeployToken(c *call, at string) {
	t := &DeployToken{Name: c.text("name"), Username: c.text("username"), Scopes: c.list("scopes"), Place: at}
	unknown := slices.ContainsFunc(t.Scopes, func(scope string) bool { return !slices.Contains(deployScopes, scope) })
	expires, err := time.Parse(time.RFC3339, c.text("expires_at"))
	switch {
	case t.Name == "" || len(t.Name) > 255 || err != nil:
		c.fail(http.StatusBadRequest, map[string][]string{"name": {"is too long (maximum is 255 characters)"}})
		return
	case len(t.Scopes) == 0 || unknown:
		c.answer(http.StatusBadRequest, map[string]string{"error": "scopes does not have a valid value"})
		return
	}
	t.Expires = expires
	shown := s.deployJSON(s.addDeployToken(t))
	shown["token"] = t.Value
	c.answer(http.StatusCreated, shown)
}

func (s *Server) oneDeployToken(c *call, at string) {
	i := slices.IndexFunc(s.deploys, func(t *DeployToken) bool {
		return strconv.FormatInt(t.ID, 10) == c.PathValue("token") && t.Place == at
	})
	switch {
	case i < 0:
		c.fail(http.StatusNotFound, "404 Not found")
	case c.Method == http.MethodGet:
		c.answer(http.StatusOK, s.deployJSON(s.deploys[i]))
	default:
		s.deploys = slices.Delete(s.deploys, i, i+1)
		c.w.WriteHeader(http.StatusNoContent)
	}
}

// registryLogin answers what a container registry asks. A wrong login is refused
// first, whatever it asks for.
func (s *Server) registryLogin(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Request: r, w: w}
	refuse := func(status int, code, message string) {
		c.answer(status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
	}
	username, password, _ := r.BasicAuth()
	t := s.deployBearer(username, password)
	switch {
	case t == nil:
		refuse(http.StatusUnauthorized, "UNAUTHORIZED", "HTTP Basic: Access denied.")
	case r.URL.Query().Get("service") != "container_registry":
		w.WriteHeader(http.StatusNotFound)
	case s.noRegistry:
		refuse(http.StatusNotFound, "UNAVAILABLE", "registry not enabled")
	case !slices.Contains(t.Scopes, "read_registry") && !slices.Contains(t.Scopes, "write_registry"):
		refuse(http.StatusForbidden, "DENIED", "access forbidden")
	default:
		c.answer(http.StatusOK, map[string]string{"token": secret("eyJ")})
	}
}

// infoRefs answers what git asks first.
func (s *Server) infoRefs(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.PathValue("group") + "/" + strings.TrimSuffix(r.PathValue("repository"), ".git")
	username, password, _ := r.BasicAuth()
	t := s.deployBearer(username, password)
	switch {
	case t == nil:
		http.Error(w, "HTTP Basic: Access denied.", http.StatusUnauthorized)
	case t.Place != "project "+path && t.Place != "group "+r.PathValue("group"):
		http.Error(w, "The project you were looking for could not be found.", http.StatusNotFound)
	case !slices.Contains(t.Scopes, "read_repository"):
		http.Error(w, "You are not allowed to download code from this project.", http.StatusForbidden)
	default:
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
	}
}
