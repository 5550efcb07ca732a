package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tokens are the tokens of a place, such as "project shop/api", or of a user, such
// as "user 7", without their values.
func (s *Server) Tokens(place string) []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return shown(s.tokens, func(t *Token) bool { return t.at() == place }, func(t *Token) { t.Value = "" })
}

// Triggers are the trigger tokens of a project, without their values.
func (s *Server) Triggers(path string) []Trigger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return shown(s.triggers, func(t *Trigger) bool { return t.Path == path }, func(t *Trigger) { t.Value = "" })
}

// shown are copies of those that match, without their values.
func shown[T any](all []*T, matches func(*T) bool, hide func(*T)) []T {
	var list []T
	for _, t := range all {
		if matches(t) {
			one := *t
			hide(&one)
			list = append(list, one)
		}
	}
	return list
}

func (t *Token) at() string {
	if t.Place == "" {
		return "user " + strconv.FormatInt(t.UserID, 10)
	}
	return t.Place
}

func (s *Server) routeAccessTokens(mux *http.ServeMux) {
	for prefix, place := range map[string]func(*call) (string, bool){
		"/api/v4/projects/{id}/access_tokens": func(c *call) (string, bool) {
			p := s.project(c)
			return "project " + pathOf(p), p != nil && c.may("", Maintainer)
		},
		"/api/v4/groups/{id}/access_tokens": func(c *call) (string, bool) {
			return "group " + strings.ToLower(c.PathValue("id")), c.may("", Owner)
		},
		"/api/v4/users/{id}/personal_access_tokens": func(c *call) (string, bool) { return "user " + c.PathValue("id"), s.isAdmin(c) },
	} {
		s.handle(mux, "POST "+prefix, func(c *call) {
			if at, ok := place(c); ok {
				s.createToken(c, at)
			}
		})
		if strings.HasSuffix(prefix, "/personal_access_tokens") {
			continue // those are listed and revoked for all users together
		}
		s.handle(mux, "GET "+prefix, func(c *call) {
			if at, ok := place(c); ok {
				s.listTokens(c, at)
			}
		})
		for _, method := range []string{"GET", "DELETE"} {
			s.handle(mux, method+" "+prefix+"/{token}", func(c *call) {
				if at, ok := place(c); ok {
					s.oneToken(c, at)
				}
			})
		}
	}
	s.handle(mux, "GET /api/v4/personal_access_tokens", func(c *call) {
		if user := c.URL.Query().Get("user_id"); user == strconv.FormatInt(c.who.UserID, 10) || s.isAdmin(c) {
			s.listTokens(c, "user "+user)
		}
	})
	for _, method := range []string{"GET", "DELETE"} {
		s.handle(mux, method+" /api/v4/personal_access_tokens/{token}", func(c *call) {
			switch {
			case s.isOwn(c), c.who.Admin:
				s.oneToken(c, "")
			case c.Method == http.MethodGet: // whether there's such a token is nobody else's business
				c.fail(http.StatusUnauthorized, "401 Unauthorized")
			default:
				s.isAdmin(c)
			}
		})
	}
	s.routeTriggers(mux)
}

func (s *Server) isAdmin(c *call) bool {
	if !c.who.Admin {
		c.fail(http.StatusForbidden, "403 Forbidden")
	}
	return c.who.Admin
}

func (s *Server) createToken(c *call, at string) {
	t := &Token{ID: s.number(), Name: c.text("name"), Value: secret("glpat-"), Scopes: c.list("scopes"), Created: s.now(), Place: at, Level: Maintainer, UserID: s.number()}
	if user, ok := strings.CutPrefix(at, "user "); ok {
		t.Place = ""
		t.UserID, _ = strconv.ParseInt(user, 10, 64)
	}
	day, err := time.Parse(time.DateOnly, c.text("expires_at"))
	if err != nil || len(t.Scopes) == 0 || t.Name == "" {
		c.fail(http.StatusBadRequest, "name, scopes, expires_at are missing")
		return
	}
	if day.After(s.now().AddDate(1, 0, 0)) || !day.After(s.now()) {
		c.fail(http.StatusBadRequest, map[string][]string{"expires_at": {"must be before 1 year from now"}})
		return
	}
	t.Expires, t.family = day, t.ID
	s.tokens = append(s.tokens, t)
	shown := s.tokenJSON(t)
	shown["token"] = t.Value
	c.answer(http.StatusCreated, shown)
}

func (s *Server) listTokens(c *call, at string) {
	var list []any
	q := c.URL.Query()
	for _, t := range s.tokens {
		// As before 17.2, or with a word for the state.
		shown := s.older || (q.Get("state") != "active" || t.active(s.now())) && strings.Contains(strings.ToLower(t.Name), strings.ToLower(q.Get("search")))
		if t.at() == at && shown {
			list = append(list, s.tokenJSON(t))
		}
	}
	page(c, list)
}

// oneToken shows or revokes the token in the path; at is "" for any user's.
func (s *Server) oneToken(c *call, at string) {
	id, _ := strconv.ParseInt(c.PathValue("token"), 10, 64)
	i := slices.IndexFunc(s.tokens, func(t *Token) bool {
		return t.ID == id && (t.at() == at || at == "" && t.Place == "")
	})
	switch {
	case i < 0:
		c.fail(http.StatusNotFound, "404 Not Found")
	case c.Method == http.MethodGet:
		c.answer(http.StatusOK, s.tokenJSON(s.tokens[i]))
	case s.tokens[i].Revoked:
		c.fail(http.StatusBadRequest, "400 Bad request - not revoked")
	default:
		s.tokens[i].Revoked = true
		c.w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) routeTriggers(mux *http.ServeMux) {
	show := func(t *Trigger) map[string]any {
		shown := map[string]any{"id": t.ID, "description": t.Description, "created_at": t.Created, "last_used": nil, "token": t.Value[:4]}
		if !t.Used.IsZero() {
			shown["last_used"] = t.Used
		}
		return shown
	}
	s.onProject(mux, "GET /api/v4/projects/{id}/triggers", "read_api", Maintainer, func(c *call, p *project) {
		var list []any
		for _, t := range s.triggers {
			if t.Path == p.path {
				list = append(list, show(t))
			}
		}
		page(c, list)
	})
	s.onProject(mux, "POST /api/v4/projects/{id}/triggers", "", Maintainer, func(c *call, p *project) {
		t := &Trigger{ID: s.number(), Description: c.text("description"), Value: secret("glptt-"), Path: p.path, Created: s.now()}
		s.triggers = append(s.triggers, t)
		shown := show(t)
		shown["token"] = t.Value
		c.answer(http.StatusCreated, shown)
	})
	for _, method := range []string{"GET", "DELETE"} {
		s.onProject(mux, method+" /api/v4/projects/{id}/triggers/{token}", "", Maintainer, func(c *call, p *project) {
			i := slices.IndexFunc(s.triggers, func(t *Trigger) bool {
				return strconv.FormatInt(t.ID, 10) == c.PathValue("token") && t.Path == p.path
			})
			switch {
			case i < 0:
				c.fail(http.StatusNotFound, "404 Not Found")
			case c.Method == http.MethodGet:
				c.answer(http.StatusOK, show(s.triggers[i]))
			default:
				s.triggers = slices.Delete(s.triggers, i, i+1)
				c.w.WriteHeader(http.StatusNoContent)
			}
		})
	}
}
