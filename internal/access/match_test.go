package access_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota/internal/access"
)

// reference is Match, implemented differently.
func reference(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(name)
}

func TestMatchAgreesWithTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab/*.")), 0, 8, -1).Draw(t, "pattern")
		name := rapid.StringOfN(rapid.SampledFrom([]rune("ab/*.")), 0, 10, -1).Draw(t, "name")
		if got, want := access.Match(pattern, name), reference(pattern, name); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

func TestAnythingInPlaceOfStarsMatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a-z/]{0,4}`), 1, 5).Draw(t, "parts")
		name := parts[0]
		for _, p := range parts[1:] {
			name += rapid.String().Draw(t, "any") + p
		}
		if pattern := strings.Join(parts, "*"); !access.Match(pattern, name) {
			t.Fatalf("%q does not match %q", pattern, name)
		}
	})
}

func TestNothingIsAllowedWithoutARule(t *testing.T) {
	t.Parallel()
	actions := rapid.SampledFrom([]access.Action{
		access.List, access.Read, access.Write, access.Rotate, access.Retire,
		access.Remove, access.Audit, access.Admin, access.Any,
	})
	pattern := rapid.StringMatching(`[ab/*]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) access.Rule {
			return access.Rule{Action: actions.Draw(t, "action"), Pattern: pattern.Draw(t, "pattern")}
		}), 0, 4).Draw(t, "rules")
		asked, name := actions.Draw(t, "asked"), rapid.StringMatching(`[ab/]{0,6}`).Draw(t, "name")
		caller := access.Caller{Principal: "p", Rules: rules}
		var want bool
		for _, r := range rules {
			fits := r.Action == asked || r.Action == access.Admin || asked == access.Any
			want = want || fits && reference(r.Pattern, name)
		}
		if got := caller.Allows(asked, name); got != want {
			t.Fatalf("Allows(%s, %q) = %v with %v", asked, name, got, rules)
		}
		if err := caller.Check(asked, name); errors.Is(err, access.ErrDenied) == want {
			t.Fatalf("Check(%s, %q) = %v with %v", asked, name, err, rules)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"shop/*", "shop/api"}, {"*", ""}, {"a*b*a", "aba"}, {"", ""}, {"*a*", "\xff"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := access.Match(pattern, name)
		if !strings.Contains(pattern, "*") && got != (pattern == name) {
			t.Errorf("Match(%q, %q) = %v", pattern, name, got)
		}
		if got && !access.Match(pattern+"*", name+"x") {
			t.Errorf("Match(%q, %q), but a star more does not match a letter more", pattern, name)
		}
		if !access.Match("*", name) {
			t.Errorf("* does not match %q", name)
		}
	})
}
