package gitlabtest

import (
	"net/http"
	"regexp"
	"strconv"
	"time"
)

var rotates = regexp.MustCompile(`access_tokens/([0-9]+|self)/rotate$`)

// detectReuse does what GitLab does when somebody logs in to a rotate endpoint with a
// token that was revoked: all that was rotated from the same first one is revoked. It
// happens there only, and not when another token's owner names a revoked one.
func (s *Server) detectReuse(r *http.Request) {
	value := r.Header.Get("Private-Token")
	if !rotates.MatchString(r.URL.Path) || value == "" {
		return
	}
	for _, t := range s.tokens {
		if t.Value == value && t.Revoked {
			s.reuses++
			for _, other := range s.tokens {
				other.Revoked = other.Revoked || other.family == t.family
			}
		}
	}
}

// Reuses is how often a family of tokens was revoked because one of them was used at a
// rotate endpoint again.
func (s *Server) Reuses() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reuses
}

func (s *Server) isOwn(c *call) bool {
	for _, t := range s.tokens {
		if strconv.FormatInt(t.ID, 10) == c.PathValue("token") {
			return t.Place == "" && t.UserID == c.who.UserID
		}
	}
	return false
}

// rotateToken revokes a token and makes the next one, which is like it.
func (s *Server) rotateToken(c *call) {
	var old *Token
	for _, t := range s.tokens {
		if id := c.PathValue("token"); id == "self" && t == c.who || strconv.FormatInt(t.ID, 10) == id {
			old = t
		}
	}
	switch {
	case old == c.who:
	case c.PathValue("id") == "" && !c.who.Admin && (old == nil || old.UserID != c.who.UserID):
		c.fail(http.StatusUnauthorized, "401 Unauthorized")
		return
	case !c.may("", map[bool]int{true: 0, false: Maintainer}[c.PathValue("id") == ""]):
		return
	case old == nil:
		c.fail(http.StatusNotFound, "404 Not Found")
		return
	}
	if old.Revoked {
		c.fail(http.StatusBadRequest, "Token already revoked")
		return
	}
	day, err := time.Parse(time.DateOnly, c.text("expires_at"))
	if c.text("expires_at") == "" {
		day, err = s.now().AddDate(0, 0, 7).UTC().Truncate(24*time.Hour), nil
	}
	if err != nil || day.After(s.now().AddDate(1, 0, 0)) || !day.After(s.now()) {
		c.fail(http.StatusBadRequest, "Expiration date must be before 1 year from now")
		return
	}
	next := *old
	next.ID, next.Value, next.Created, next.Expires, next.Used = s.number(), secret("glpat-"), s.now(), day, time.Time{}
	old.Revoked = true
	s.tokens = append(s.tokens, &next)
	shown := s.tokenJSON(&next)
	shown["token"] = next.Value
	c.answer(http.StatusOK, shown)
}
