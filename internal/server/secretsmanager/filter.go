package secretsmanager

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

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

// matches compares by prefix. In descriptions, and in everything for "all", each
// word of the filter must begin one of the words, in any case.
func (s *Server) matches(r record.Record, key, want string) bool {
	hasTag := func(match func(t record.Tag) bool) bool { return slices.ContainsFunc(r.Tags, match) }
	switch key {
	case "name":
		return strings.HasPrefix(r.Name, want)
	case "description":
		return beginWords(want, r.Description)
	case "tag-key":
		return hasTag(func(t record.Tag) bool { return strings.HasPrefix(t.Key, want) })
	case "tag-value":
		return hasTag(func(t record.Tag) bool { return strings.HasPrefix(t.Value, want) })
	case "primary-region":
		return strings.HasPrefix(s.opts.Region, want)
	case "owning-service": // no secret belongs to another service
		return want == ""
	}
	texts := []string{r.Name, r.Description}
	for _, t := range r.Tags {
		texts = append(texts, t.Key, t.Value)
	}
	return slices.ContainsFunc(texts, func(text string) bool { return beginWords(want, text) })
}

// beginWords reports whether each word of the filter begins a word of the text.
// A filter without a word matches nothing.
func beginWords(filter, text string) bool {
	wanted, words := splitWords(filter), splitWords(text)
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(want string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, want) })
	})
}

// camel is where AWS splits a word further: before any character that isn't a
// lowercase letter and is followed by one, so that COMPANYthings is COMPAN and
// Ythings.
var camel = regexp.MustCompile(`[^a-z][a-z]+`)

// splitWords returns a text's words in lowercase.
func splitWords(text string) []string {
	var words []string
	for part := range strings.FieldsFuncSeq(text, func(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune("/_+=.@-", c) }) {
		from := 0
		for _, at := range camel.FindAllStringIndex(part, -1) {
			for _, cut := range at {
				if cut > from {
					words = append(words, strings.ToLower(part[from:cut]))
					from = cut
				}
			}
		}
		if from < len(part) {
			words = append(words, strings.ToLower(part[from:]))
		}
	}
	return words
}
