package githubtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// Secret is one of a place, with the value that jobs get.
type Secret struct {
	Name, Value      string
	Created, Updated time.Time
	Visibility       string  // of an organization's
	Selected         []int64 // the repositories, if that's "selected"
}

// sealingKey is a place's pair.
type sealingKey struct {
	id              string
	public, private *[32]byte
}

// Secrets are those of a place: "actions shop/api", "dependabot shop/api",
// "environment shop/api production", "actions shop" for an organization.
func (s *Server) Secrets(place string) []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Secret
	for _, one := range s.secrets[place] {
		list = append(list, *one)
	}
	return list
}

// SetSecret makes or changes a secret, as someone else would.
func (s *Server) SetSecret(place string, one Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(place, one)
}

func (s *Server) put(place string, one Secret) (existed bool) {
	one.Name, one.Updated = strings.ToUpper(one.Name), s.stamp()
	one.Created = one.Updated
	if i := slices.IndexFunc(s.secrets[place], func(x *Secret) bool { return x.Name == one.Name }); i >= 0 {
		one.Created = s.secrets[place][i].Created
		*s.secrets[place][i] = one
		return true
	}
	s.secrets[place] = append(s.secrets[place], &one)
	return false
}

// RenewKey replaces the public key of a place: values sealed with the earlier one
// aren't taken any more.
func (s *Server) RenewKey(place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, place)
}

func (s *Server) key(place string) *sealingKey {
	if s.keys[place] == nil {
		public, private, err := box.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		s.keys[place] = &sealingKey{fmt.Sprint(568250167242549743 + s.number()), public, private}
	}
	return s.keys[place]
}

// parts are where secrets are kept: the path, the place, and the permission.
var parts = []struct{ path, place, permission string }{
	{"repos/{owner}/{repo}/actions/secrets", "actions", "secrets"},
	{"repos/{owner}/{repo}/dependabot/secrets", "dependabot", "dependabot_secrets"},
	{"repos/{owner}/{repo}/codespaces/secrets", "codespaces", "codespaces_secrets"},
	{"repos/{owner}/{repo}/environments/{environment}/secrets", "environment", "environments"},
	{"orgs/{org}/actions/secrets", "actions", "organization_secrets"},
	{"orgs/{org}/dependabot/secrets", "dependabot", "organization_dependabot_secrets"},
	{"orgs/{org}/codespaces/secrets", "codespaces", "organization_codespaces_secrets"},
}

// place is the one in the path, "" once it has answered that it isn't there.
func (c *call) place(kind string) string {
	switch {
	case c.repo == nil:
		return kind + " " + strings.ToLower(c.PathValue("org"))
	case kind == "environment" && !slices.Contains(c.repo.environments, c.PathValue("environment")):
		c.fail(http.StatusNotFound, "Not Found")
		return ""
	case kind == "environment":
		return kind + " " + c.repo.path() + " " + c.PathValue("environment")
	}
	return kind + " " + c.repo.path()
}

func (s *Server) routeSecrets(mux *http.ServeMux) {
	for _, part := range parts {
		on := func(pattern, level string, f func(c *call, place string)) {
			method, suffix, _ := strings.Cut(pattern, " ")
			s.handle(mux, method+" "+part.path+suffix, part.permission+"="+level, func(c *call) {
				if at := c.place(part.place); at != "" {
					f(c, at)
				}
			})
		}
		on("GET ", "read", func(c *call, at string) {
			var list []any
			for _, one := range page(c, s.secrets[at]) {
				list = append(list, one.shown())
			}
			c.answer(http.StatusOK, map[string]any{"total_count": len(s.secrets[at]), "secrets": list})
		})
		on("GET /public-key", "read", func(c *call, at string) {
			key := s.key(at)
			c.answer(http.StatusOK, map[string]string{"key_id": key.id, "key": base64.StdEncoding.EncodeToString(key.public[:])})
		})
		on("GET /{name}", "read", func(c *call, at string) {
			if one := s.findSecret(c, at); one != nil {
				c.answer(http.StatusOK, one.shown())
			}
		})
		on("GET /{name}/repositories", "read", func(c *call, at string) {
			one := s.findSecret(c, at)
			if one == nil {
				return
			}
			if one.Visibility != "selected" {
				c.fail(http.StatusConflict, "Visibility is not set to selected")
				return
			}
			var list []any
			for _, r := range s.repositories {
				if slices.Contains(one.Selected, r.id) {
					list = append(list, map[string]any{"id": r.id, "name": r.name, "full_name": r.path()})
				}
			}
			c.answer(http.StatusOK, map[string]any{"total_count": len(list), "repositories": page(c, list)})
		})
		on("PUT /{name}", "write", s.putSecret)
	}
	s.handle(mux, "GET orgs/{org}/repos", "metadata=read", func(c *call) {
		var list []any
		for _, r := range s.repositories {
			if strings.EqualFold(r.owner, c.PathValue("org")) {
				list = append(list, map[string]any{"id": r.id, "name": r.name, "full_name": r.path()})
			}
		}
		c.answer(http.StatusOK, page(c, list))
	})
}

// shown is the secret as the API shows it: without its value.
func (one *Secret) shown() map[string]any {
	shown := map[string]any{"name": one.Name, "created_at": one.Created.Format(time.RFC3339), "updated_at": one.Updated.Format(time.RFC3339)}
	if one.Visibility != "" {
		shown["visibility"] = one.Visibility
	}
	return shown
}

func (s *Server) findSecret(c *call, at string) *Secret {
	for _, one := range s.secrets[at] {
		if strings.EqualFold(one.Name, c.PathValue("name")) {
			return one
		}
	}
	c.fail(http.StatusNotFound, "Not Found")
	return nil
}

// putSecret opens what was sealed with the place's key.
func (s *Server) putSecret(c *call, at string) {
	key, name := s.key(at), c.PathValue("name")
	sealed, err := base64.StdEncoding.DecodeString(c.text("encrypted_value"))
	if err != nil || c.text("key_id") != key.id {
		c.fail(http.StatusUnprocessableEntity, "Bad request - check that key_id is that of the public key")
		return
	}
	value, ok := box.OpenAnonymous(nil, sealed, key.public, key.private)
	if !ok || len(value) > 48<<10 || strings.HasPrefix(strings.ToUpper(name), "GITHUB_") {
		c.fail(http.StatusUnprocessableEntity, "Validation Failed")
		return
	}
	one := Secret{Name: name, Value: string(value)}
	if c.repo == nil {
		if one.Visibility = c.text("visibility"); one.Visibility == "" {
			c.fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"visibility\" wasn't supplied.")
			return
		}
		if one.Selected, ok = selected(c, strings.HasPrefix(at, "dependabot ")); !ok {
			c.fail(http.StatusUnprocessableEntity, "Invalid request.\n\nFor 'items', it is not of the right type.")
			return
		}
	}
	s.writes++
	if s.put(at, one) {
		c.answer(http.StatusNoContent, nil)
		return
	}
	c.answer(http.StatusCreated, map[string]any{})
}

// selected reads numbers, which Dependabot wants as text.
func selected(c *call, texts bool) ([]int64, bool) {
	raw, ok := c.body["selected_repository_ids"]
	if !ok {
		return nil, true
	}
	var numbers []int64
	if !texts {
		return numbers, json.Unmarshal(raw, &numbers) == nil
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	for _, text := range list {
		var n int64
		_, _ = fmt.Sscan(text, &n)
		numbers = append(numbers, n)
	}
	return numbers, true
}
