package githubtest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Variable is one of a place.
type Variable struct {
	Name, Value string
	Updated     time.Time
	Visibility  string // of an organization's
}

// Variables are those of a place: "shop/api", "environment shop/api production",
// "shop" for an organization.
func (s *Server) Variables(place string) []Variable {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Variable
	for _, one := range s.variables[place] {
		list = append(list, *one)
	}
	return list
}

// SetVariable makes or changes a variable, as someone else would.
func (s *Server) SetVariable(place string, one Variable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.Updated = s.stamp()
	s.variables[place] = slices.DeleteFunc(s.variables[place], func(v *Variable) bool { return v.Name == one.Name })
	s.variables[place] = append(s.variables[place], &one)
}

func (s *Server) routeVariables(mux *http.ServeMux) {
	for _, part := range []struct{ path, kind, permission string }{
		{"repos/{owner}/{repo}/actions/variables", "", "actions_variables"},
		{"repos/{owner}/{repo}/environments/{environment}/variables", "environment", "environments"},
		{"orgs/{org}/actions/variables", "", "organization_actions_variables"},
	} {
		on := func(pattern, level string, f func(c *call, place string)) {
			method, suffix, _ := strings.Cut(pattern, " ")
			s.handle(mux, method+" "+part.path+suffix, part.permission+"="+level, func(c *call) {
				if at := c.place(part.kind); at != "" {
					f(c, strings.TrimSpace(at))
				}
			})
		}
		on("GET ", "read", func(c *call, at string) {
			var list []any
			for _, one := range page(c, s.variables[at]) {
				list = append(list, one.shown())
			}
			c.answer(http.StatusOK, map[string]any{"total_count": len(s.variables[at]), "variables": list})
		})
		on("GET /{name}", "read", func(c *call, at string) {
			if one := s.findVariable(c, at); one != nil {
				c.answer(http.StatusOK, one.shown())
			}
		})
		on("POST ", "write", s.createVariable)
		on("PATCH /{name}", "write", func(c *call, at string) {
			one := s.findVariable(c, at)
			if one == nil {
				return
			}
			if _, given := c.body["value"]; given {
				one.Value = c.text("value")
			}
			if visibility := c.text("visibility"); visibility != "" {
				one.Visibility = visibility
			}
			one.Updated = s.stamp()
			s.writes++
			c.answer(http.StatusNoContent, nil)
		})
		on("DELETE /{name}", "write", func(c *call, at string) {
			if one := s.findVariable(c, at); one != nil {
				s.variables[at] = slices.DeleteFunc(s.variables[at], func(v *Variable) bool { return v == one })
				s.writes++
				c.answer(http.StatusNoContent, nil)
			}
		})
	}
}

func (v *Variable) shown() map[string]any {
	shown := map[string]any{"name": v.Name, "value": v.Value, "created_at": v.Updated.Format(time.RFC3339), "updated_at": v.Updated.Format(time.RFC3339)}
	if v.Visibility != "" {
		shown["visibility"] = v.Visibility
	}
	return shown
}

func (s *Server) findVariable(c *call, at string) *Variable {
	for _, one := range s.variables[at] {
		if strings.EqualFold(one.Name, c.PathValue("name")) {
			return one
		}
	}
	c.fail(http.StatusNotFound, "Not Found")
	return nil
}

func (s *Server) createVariable(c *call, at string) {
	one := &Variable{Name: strings.ToUpper(c.text("name")), Value: c.text("value"), Visibility: c.text("visibility"), Updated: s.stamp()}
	switch {
	case slices.ContainsFunc(s.variables[at], func(v *Variable) bool { return v.Name == one.Name }):
		c.fail(http.StatusConflict, "Already exists - Variable already exists")
	case c.repo == nil && one.Visibility == "":
		c.fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"visibility\" wasn't supplied.")
	default:
		s.variables[at] = append(s.variables[at], one)
		s.writes++
		c.answer(http.StatusCreated, map[string]any{})
	}
}
