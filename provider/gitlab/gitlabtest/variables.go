package gitlabtest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Variable is a CI/CD variable.
type Variable struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	Type        string  `json:"variable_type"`
	Protected   bool    `json:"protected"`
	Masked      bool    `json:"masked"`
	Hidden      bool    `json:"hidden"`
	Raw         bool    `json:"raw"`
	Environment string  `json:"environment_scope,omitempty"`
	Description string  `json:"description"`
}

// The places of variables other than "project shop/api" and "group shop".
const instance = "instance"

func (s *Server) routeVariables(mux *http.ServeMux) {
	for prefix, place := range map[string]func(*call) (string, bool){
		"/api/v4/projects/{id}/variables": func(c *call) (string, bool) {
			p := s.project(c)
			return "project " + pathOf(p), p != nil && c.may("", Maintainer)
		},
		"/api/v4/groups/{id}/variables": func(c *call) (string, bool) {
			return "group " + strings.ToLower(c.PathValue("id")), c.may("", Owner)
		},
		"/api/v4/admin/ci/variables": func(c *call) (string, bool) {
			if !c.who.Admin {
				c.fail(http.StatusForbidden, "403 Forbidden")
			}
			return instance, c.who.Admin
		},
	} {
		on := func(method, suffix string, f func(c *call, place string)) {
			s.handle(mux, method+" "+prefix+suffix, func(c *call) {
				if at, ok := place(c); ok {
					f(c, at)
				}
			})
		}
		on("GET", "", func(c *call, at string) {
			var shown []Variable
			for _, v := range s.variables[at] {
				shown = append(shown, v.shown())
			}
			page(c, shown)
		})
		on("POST", "", s.createVariable)
		on("GET", "/{key}", func(c *call, at string) {
			if i := s.findVariable(c, at); i >= 0 {
				c.answer(http.StatusOK, s.variables[at][i].shown())
			}
		})
		on("PUT", "/{key}", s.updateVariable)
		on("DELETE", "/{key}", func(c *call, at string) {
			if i := s.findVariable(c, at); i >= 0 {
				s.variables[at] = slices.Delete(s.variables[at], i, i+1)
				s.writes++
				c.w.WriteHeader(http.StatusNoContent)
			}
		})
	}
}

func pathOf(p *project) string {
	if p == nil {
		return ""
	}
	return p.path
}

// shown is the variable as the API shows it: a hidden value is null.
func (v Variable) shown() Variable {
	if v.Hidden {
		v.Value = nil
	}
	return v
}

// findVariable finds the variable in the path, and answers if there's not exactly
// one.
func (s *Server) findVariable(c *call, at string) int {
	scope := c.URL.Query().Get("filter[environment_scope]")
	if scope == "" {
		var filter struct {
			Environment string `json:"environment_scope"`
		}
		_ = json.Unmarshal(c.body["filter"], &filter)
		scope = filter.Environment
	}
	found := -1
	for i, v := range s.variables[at] {
		if v.Key != c.PathValue("key") || at != instance && scope != "" && v.Environment != scope {
			continue
		}
		if found >= 0 {
			c.fail(http.StatusConflict, "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'")
			return -1
		}
		found = i
	}
	if found < 0 {
		c.fail(http.StatusNotFound, "404 Variable Not Found")
	}
	return found
}

func (s *Server) createVariable(c *call, at string) {
	value := c.text("value")
	v := Variable{Key: c.text("key"), Value: &value, Type: "env_var", Description: c.text("description")}
	if at != instance {
		v.Environment = "*"
		if scope := c.text("environment_scope"); scope != "" && (!s.free || !strings.HasPrefix(at, "group ")) {
			v.Environment = scope
		}
		if !s.older {
			c.set("masked_and_hidden", &v.Hidden)
		}
	}
	c.fill(&v)
	v.Masked = v.Masked || v.Hidden
	if slices.ContainsFunc(s.variables[at], func(o Variable) bool { return o.Key == v.Key && o.Environment == v.Environment }) {
		c.fail(http.StatusBadRequest, map[string][]string{"key": {"(" + v.Key + ") has already been taken"}})
		return
	}
	if c.valid(v) {
		s.variables[at] = append(s.variables[at], v)
		s.writes++
		c.answer(http.StatusCreated, v.shown())
	}
}

func (s *Server) updateVariable(c *call, at string) {
	i := s.findVariable(c, at)
	if i < 0 {
		return
	}
	v := s.variables[at][i]
	if _, ok := c.body["value"]; ok {
		value := c.text("value")
		v.Value = &value
	}
	c.fill(&v)
	if v.Hidden && !v.Masked {
		c.fail(http.StatusBadRequest, map[string][]string{"base": {"The visibility setting cannot be changed for masked and hidden variables."}})
		return
	}
	if c.valid(v) {
		s.variables[at][i] = v
		s.writes++
		c.answer(http.StatusOK, v.shown())
	}
}

func (c *call) fill(v *Variable) {
	c.set("masked", &v.Masked)
	c.set("protected", &v.Protected)
	c.set("raw", &v.Raw)
	if kind := c.text("variable_type"); kind != "" {
		v.Type = kind
	}
}

// What GitLab demands of values and names.
var (
	maskable = regexp.MustCompile(`\A\S{8,}\z`)
	expanded = regexp.MustCompile(`\A[a-zA-Z0-9_+=/@:.~-]{8,}\z`)
	keyName  = regexp.MustCompile(`\A[A-Za-z0-9_]{1,255}\z`)
)

func (c *call) valid(v Variable) bool {
	switch {
	case !keyName.MatchString(v.Key):
		c.fail(http.StatusBadRequest, map[string][]string{"key": {"can contain only letters, digits and '_'."}})
	case v.Masked && (v.Raw && !maskable.MatchString(*v.Value) || !v.Raw && !expanded.MatchString(*v.Value)):
		c.fail(http.StatusBadRequest, map[string][]string{"value": {"is invalid"}})
	case utf8.RuneCountInString(*v.Value) > 10_000:
		c.fail(http.StatusBadRequest, map[string][]string{"value": {"is too long (maximum is 10000 characters)"}})
	default:
		return true
	}
	return false
}

// Variables are those of a place, such as "project shop/api", with their values.
func (s *Server) Variables(place string) []Variable {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.variables[place])
}

// SetVariable puts a variable somewhere, as a person would.
func (s *Server) SetVariable(place string, v Variable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.Type == "" {
		v.Type = "env_var"
	}
	if v.Environment == "" && place != instance {
		v.Environment = "*"
	}
	s.variables[place] = slices.DeleteFunc(s.variables[place], func(o Variable) bool { return o.Key == v.Key && o.Environment == v.Environment })
	s.variables[place] = append(s.variables[place], v)
}

// JobVariables are what a job on a protected branch gets that starts now: those of
// the instance, the groups and the project, the nearest and most specific first.
func (s *Server) JobVariables(path, environment string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobVariables(path, environment)
}

func (s *Server) jobVariables(path, environment string) map[string]string {
	values := map[string]string{}
	places := []string{instance}
	for i, r := range path {
		if r == '/' {
			places = append(places, "group "+path[:i])
		}
	}
	for _, place := range append(places, "project "+path) {
		for _, scope := range []string{"", "*", environment} {
			for _, v := range s.variables[place] {
				if v.Environment == scope {
					values[v.Key] = *v.Value
				}
			}
		}
	}
	return values
}
