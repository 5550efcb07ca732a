package oidc

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/rota-dev/rota/internal/access"
)

// claims are what a verified token says.
type claims map[string]any

// values returns a claim's values as text: a single one, or each of a list; nil
// if there's no such claim. "a/b" is claim b inside claim a, unless there is a
// claim with exactly that name.
func (c claims) values(name string) []string {
	value, ok := c[name]
	if outer, inner, nested := strings.Cut(name, "/"); !ok && nested {
		if object, isObject := c[outer].(map[string]any); isObject {
			return claims(object).values(inner)
		}
	}
	if list, isList := value.([]any); isList {
		var all []string
		for _, v := range list {
			if s, isText := claimText(v); isText {
				all = append(all, s)
			}
		}
		return all
	}
	if s, isText := claimText(value); isText {
		return []string{s}
	}
	return nil
}

func claimText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		// Beyond 2^53, different numbers in tokens can be indistinguishable
		// here.
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatFloat(v, 'f', -1, 64), true
		}
	}
	return "", false
}

// singleValue returns a claim's value if it has exactly one, for templates.
func (c claims) singleValue(name string) (string, bool) {
	if v := c.values(name); len(v) == 1 {
		return v[0], true
	}
	return "", false
}

func (b Binding) matches(c claims) bool {
	for name, pattern := range b.Claims {
		found := false
		for _, v := range c.values(name) {
			found = found || access.Match(pattern, v)
		}
		if !found {
			return false
		}
	}
	return len(b.Claims) > 0
}

// bind returns the caller that the bindings derive from the claims.
func (i Issuer) bind(c claims) (access.Caller, error) {
	caller := access.Caller{Method: "oidc"}
	for _, b := range i.Bindings {
		if !b.matches(c) {
			continue
		}
		if caller.Principal == "" {
			name := b.Principal
			if name == "" {
				name = "{sub}"
			}
			filled, err := name.Fill(c.singleValue)
			if err != nil {
				return access.Caller{}, err
			}
			caller.Principal = "oidc:" + i.Name + ":" + filled
		}
		rules, err := access.FillRules(b.Rules, c.singleValue)
		if err != nil {
			return access.Caller{}, err
		}
		caller.Rules = append(caller.Rules, rules...)
	}
	if caller.Principal == "" {
		return access.Caller{}, errors.New("no binding matches the claims of the token of issuer " + i.Name)
	}
	return caller, nil
}
