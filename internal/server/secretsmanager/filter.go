package secretsmanager

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota/internal/store/record"
)

// filter is one filter of a list. A secret passes if any of the values matches,
// and must pass every filter.
type filter struct {
	Key    string
	Values []string
}

var filterKeys = []string{"description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all"}

var filterValue = regexp.MustCompile(`^!?[a-zA-Z0-9 :_@/+=.\-!]*$`)

func checkFilters(filters []filter) error {
	if len(filters) > 10 {
		return violation("filters", "Member must have length less than or equal to 10")
	}
	for _, f := range filters {
		if !slices.Contains(filterKeys, f.Key) {
			return violation("filters.key", "Member must satisfy enum value set: ["+strings.Join(filterKeys, ", ")+"]")
		}
		if n := len(f.Values); n < 1 || n > 10 {
			return errInvalidParameter("A filter must have 1 to 10 values.")
		}
		for _, v := range f.Values {
			if len(v) > 512 || !filterValue.MatchString(v) {
				return violation("filters.values", "Member must have at most 512 characters and satisfy regular expression pattern: "+filterValue.String())
			}
		}
	}
	return nil
}

func (s *Server) matchesAll(r record.Record, filters []filter) bool {
	return !slices.ContainsFunc(filters, func(f filter) bool {
		return !slices.ContainsFunc(f.Values, func(value string) bool {
			want, negated := strings.CutPrefix(value, "!")
			return s.matches(r, f.Key, want) != negated
		})
	})
}

// matches compares by prefix, and descriptions case-insensitively. "all"
// searches for each word anywhere, case-insensitively.
func (s *Server) matches(r record.Record, key, want string) bool {
	hasTag := func(match func(t record.Tag) bool) bool { return slices.ContainsFunc(r.Tags, match) }
	switch key {
	case "name":
		return strings.HasPrefix(r.Name, want)
	case "description":
		return strings.HasPrefix(strings.ToLower(r.Description), strings.ToLower(want))
	case "tag-key":
		return hasTag(func(t record.Tag) bool { return strings.HasPrefix(t.Key, want) })
	case "tag-value":
		return hasTag(func(t record.Tag) bool { return strings.HasPrefix(t.Value, want) })
	case "primary-region":
		return strings.HasPrefix(s.opts.Region, want)
	case "owning-service": // no secret belongs to another service
		return want == ""
	}
	for word := range strings.FieldsSeq(strings.ToLower(want)) {
		has := func(s string) bool { return strings.Contains(strings.ToLower(s), word) }
		if !has(r.Name) && !has(r.Description) && !hasTag(func(t record.Tag) bool { return has(t.Key) || has(t.Value) }) {
			return false
		}
	}
	return true
}
