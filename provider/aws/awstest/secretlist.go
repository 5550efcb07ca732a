package awstest

import (
	"slices"
	"strings"
)

const maxTags = 50

type tag struct{ Key, Value string }

// filter is one filter of ListSecrets: a secret passes if any of the values
// matches, and a list of filters lets through what passes each.
type filter struct {
	Key    string
	Values []string
}

func (s *Server) listSecrets(x *exchange) (any, *apiError) {
	limit, after, e := x.args.paging()
	if e != nil {
		return nil, e
	}
	for _, f := range x.args.Filters {
		if !slices.Contains([]string{"name", "description", "tag-key", "tag-value", "all"}, f.Key) || len(f.Values) == 0 {
			return nil, invalidParameter("Invalid filter.")
		}
	}
	now := s.now()
	keep := func(c *secret) bool {
		if c.gone(now) || (!c.deleteAt.IsZero() && !x.args.IncludePlannedDeletion) {
			return false
		}
		return !slices.ContainsFunc(x.args.Filters, func(f filter) bool { return !f.passes(c) })
	}
	type member struct {
		secretEntry
		SecretVersionsToStages map[string][]string `json:",omitempty"`
	}
	result := struct {
		SecretList []member
		NextToken  string `json:",omitempty"`
	}{SecretList: []member{}}
	var found []*secret
	var next int
	if x.args.SortOrder == "desc" {
		found, next = s.descending(after, limit, x.stale, keep)
	} else {
		found, next = s.secrets.page(after, limit, x.stale, keep)
	}
	for _, c := range found {
		result.SecretList = append(result.SecretList, member{c.entry(), c.stages()})
	}
	result.NextToken = marker(next)
	return result, nil
}

// descending is a page of the secrets, the youngest first; the position counts
// from the youngest.
func (s *Server) descending(after, limit int, stale bool, keep func(*secret) bool) (found []*secret, next int) {
	all, _ := s.secrets.page(0, len(s.secrets.order), stale, keep)
	slices.Reverse(all)
	all = all[min(after, len(all)):]
	if len(all) > limit {
		return all[:limit], after + limit
	}
	return all, 0
}

// passes says whether a secret matches: by prefix, for descriptions without
// regard to case, and negated by a leading exclamation mark.
func (f filter) passes(c *secret) bool {
	return slices.ContainsFunc(f.Values, func(value string) bool {
		want, negated := strings.CutPrefix(value, "!")
		return f.matches(c, want) != negated
	})
}

func (f filter) matches(c *secret, want string) bool {
	lower := strings.ToLower(want)
	hasTag := func(of func(tag) string, match func(string) bool) bool {
		return slices.ContainsFunc(c.tags, func(t tag) bool { return match(of(t)) })
	}
	key, value := func(t tag) string { return t.Key }, func(t tag) string { return t.Value }
	prefix := func(s string) bool { return strings.HasPrefix(s, want) }
	switch f.Key {
	case "name":
		return prefix(c.name)
	case "description":
		return strings.HasPrefix(strings.ToLower(c.description), lower)
	case "tag-key":
		return hasTag(key, prefix)
	case "tag-value":
		return hasTag(value, prefix)
	}
	contains := func(s string) bool { return strings.Contains(strings.ToLower(s), lower) }
	return contains(c.name) || contains(c.description) || hasTag(key, contains) || hasTag(value, contains)
}

// paging reads MaxResults (1 to 100, by default 100) and NextToken.
func (r *secretRequest) paging() (limit, after int, e *apiError) {
	limit = 100
	if r.MaxResults != nil {
		limit = *r.MaxResults
	}
	if limit < 1 || limit > 100 {
		return 0, 0, invalidParameter("MaxResults must be from 1 to 100.")
	}
	after, ok := position(r.NextToken)
	if !ok {
		return 0, 0, fail(400, "InvalidNextTokenException", "The NextToken value is invalid.")
	}
	return limit, after, nil
}

func (s *Server) tagSecret(x *exchange) *apiError {
	c, e := s.forUse(x.args.SecretID, false)
	if e != nil {
		return e
	}
	c = c.clone(s.now())
	if x.action == "TagResource" {
		if e := c.addTags(x.args.Tags); e != nil {
			return e
		}
	} else {
		c.tags = slices.DeleteFunc(c.tags, func(t tag) bool { return slices.Contains(x.args.TagKeys, t.Key) })
	}
	s.secrets.put(c.name, c)
	return nil
}

// addTags adds tags or gives those of the same key a new value.
func (c *secret) addTags(tags []tag) *apiError {
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(t.Key, "aws:") {
			return invalidParameter("Invalid tag.")
		}
		if i := slices.IndexFunc(c.tags, func(old tag) bool { return old.Key == t.Key }); i >= 0 {
			c.tags[i] = t
			continue
		}
		c.tags = append(c.tags, t)
	}
	if len(c.tags) > maxTags {
		return fail(400, "LimitExceededException", "A secret can have at most 50 tags.")
	}
	return nil
}
