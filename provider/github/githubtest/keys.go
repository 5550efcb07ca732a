package githubtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DeployKey is a key of a repository.
type DeployKey struct {
	ID         int64
	Title, Key string
	ReadOnly   bool
	Created    time.Time
	Used       time.Time
	Unverified bool
	Disabled   bool
	repo       *repository
}

// DeployKeys are those of a repository.
func (s *Server) DeployKeys(path string) []DeployKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []DeployKey
	for _, k := range s.deployKeys {
		if k.repo.path() == path {
			list = append(list, *k)
		}
	}
	return list
}

// AddDeployKey adds a key, as a person would.
func (s *Server) AddDeployKey(path string, k DeployKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, name, _ := strings.Cut(path, "/")
	k.ID, k.repo, k.Created = s.number(), s.find(owner, name), s.now().UTC().Truncate(time.Second)
	s.deployKeys = append(s.deployKeys, &k)
}

// ChangeDeployKey changes those with a public key.
func (s *Server) ChangeDeployKey(key string, change func(*DeployKey)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.deployKeys {
		if sameKey(k.Key, key) {
			change(k)
		}
	}
}

// UseDeployKey logs in with a key over SSH, as git would.
func (s *Server) UseDeployKey(key string) {
	s.ChangeDeployKey(key, func(k *DeployKey) { k.Used = s.now().UTC().Truncate(time.Second) })
}

// sameKey compares public keys without their comments.
func sameKey(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return len(x) > 1 && len(y) > 1 && x[0] == y[0] && x[1] == y[1]
}

func (s *Server) routeKeys(mux *http.ServeMux) {
	s.handle(mux, "GET repos/{owner}/{repo}/keys", "administration=read", func(c *call) {
		list := []any{}
		for _, k := range s.deployKeys {
			if k.repo == c.repo {
				list = append(list, s.shownKey(k))
			}
		}
		c.answer(http.StatusOK, page(c, list))
	})
	s.handle(mux, "POST repos/{owner}/{repo}/keys", "administration=write", func(c *call) {
		k := &DeployKey{Title: c.text("title"), Created: s.now().UTC().Truncate(time.Second), repo: c.repo}
		_ = json.Unmarshal(c.body["read_only"], &k.ReadOnly)
		// GitHub keeps no comment.
		words := append(strings.Fields(c.text("key")), "", "")
		k.Key = words[0] + " " + words[1]
		if slices.ContainsFunc(s.deployKeys, func(other *DeployKey) bool { return sameKey(other.Key, k.Key) }) {
			c.answer(http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []any{map[string]string{"resource": "PublicKey", "code": "custom", "field": "key", "message": "key is already in use"}}})
			return
		}
		k.ID = s.number()
		s.deployKeys = append(s.deployKeys, k)
		c.answer(http.StatusCreated, s.shownKey(k))
	})
	s.handle(mux, "DELETE repos/{owner}/{repo}/keys/{key}", "administration=write", func(c *call) {
		id, _ := strconv.ParseInt(c.PathValue("key"), 10, 64)
		before := len(s.deployKeys)
		s.deployKeys = slices.DeleteFunc(s.deployKeys, func(k *DeployKey) bool { return k.repo == c.repo && k.ID == id })
		if len(s.deployKeys) == before {
			c.fail(http.StatusNotFound, "Not Found")
			return
		}
		c.answer(http.StatusNoContent, nil)
	})
}

func (s *Server) shownKey(k *DeployKey) map[string]any {
	shown := map[string]any{"id": k.ID, "key": k.Key, "title": k.Title, "read_only": k.ReadOnly, "verified": !k.Unverified, "enabled": !k.Disabled, "created_at": k.Created.Format(time.RFC3339), "added_by": "rota"}
	if !s.old {
		shown["last_used"] = nil
		if !k.Used.IsZero() {
			shown["last_used"] = k.Used.Format(time.RFC3339)
		}
	}
	return shown
}
