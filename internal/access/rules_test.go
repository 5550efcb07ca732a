package access_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/hint"
)

func TestRulesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		err        string // "" for none
	}{
		{"an action and a pattern", "read:shop/*", ""},
		{"everything", "admin:*", ""},
		{"a name with all that names have", "rotate:prod/a_b+c=d.e@f-g:h", ""},
		{"a mistyped action", "raed:shop/*", `did you mean "read"?`},
		{"what Secrets Manager calls it", "get:shop/*", `did you mean "read"?`},
		{"delete, which is two things", "delete:shop/*", `did you mean "remove"?`},
		{"capitals", "Read:shop/*", `did you mean "read"?`},
		{"an action that nothing is near to", "frobnicate:*", "try: list, read"},
		{"anything, which is for asking only", "anything:*", "is not an action"},
		{"no pattern", "read:", "try: *"},
		{"no colon", "read shop/*", "try: an action, a colon"},
		{"two stars", "read:shop/**", `did you mean "shop/*"?`},
		{"a leading slash", "read:/shop/*", `did you mean "shop/*"?`},
		{"a blank", "read:shop/* ", "whitespace"},
		{"a regular expression", "read:^shop/.*$", "only * is special"},
		{"alternatives", "read:{shop,crm}/*", "only * is special"},
		{"an unseen character", "read:shop\u200b/*", "unprintable"},
		{"too long", "read:" + strings.Repeat("a", 513), "longer than 512"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := access.ParseRule(c.text)
			if err == nil {
				err = r.Validate()
			}
			if c.err == "" {
				if err != nil || r.String() != c.text {
					t.Errorf("ParseRule(%q) = %v, %v", c.text, r, err)
				}
				return
			}
			if err == nil || !strings.Contains(hint.Text(err), c.err) {
				t.Errorf("ParseRule(%q): %v, want an error with %q", c.text, err, c.err)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"app/orders": true, "anna@example.com": true, "A-1_b.c": true, "x": true,
		"": false, "oidc:gitlab:shop": false, "mtls:x": false, "a b": false, "a\nb": false, "/a": false,
		"-a": false, "ä": false, strings.Repeat("a", 129): false,
	} {
		if err := access.CheckName(name); (err == nil) != good {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	values := map[string]string{"path": "shop/api", "star": "a*", "brace": "{x}", "line": "a\nb", "empty": "", "blank": "a b"}
	value := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for _, c := range []struct{ name, template, want, err string }{
		{"no place", "plain", "plain", ""},
		{"a place", "ci/{path}/*", "ci/shop/api/*", ""},
		{"twice", "{path}-{path}", "shop/api-shop/api", ""},
		{"a value with a star", "{star}", "", "a character that isn't allowed"},
		{"a value with a brace", "{brace}", "", "a character that isn't allowed"},
		{"a value with a new line", "{line}", "", "a character that isn't allowed"},
		{"a value with a blank", "{blank}", "", "a character that isn't allowed"},
		{"an empty value", "{empty}", "", "no value for empty"},
		{"a missing value", "{other}", "", "no value for other"},
		{"a brace that is not closed", "{path", "", "unbalanced { or }"},
		{"a brace that is not opened", "path}", "", "unbalanced { or }"},
		{"a brace in a brace", "{pa{th}}", "", "unbalanced { or }"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := access.Template(c.template).Fill(value)
			if c.err != "" {
				if err == nil || !strings.Contains(hint.Text(err), c.err) {
					t.Fatalf("Fill: %q, %v; want an error with %q", got, err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("Fill: %q, %v; want %q", got, err, c.want)
			}
		})
	}
	if err := access.Template("{cm}").Validate([]string{"cn", "dns"}); err == nil || !strings.Contains(hint.Text(err), `did you mean "{cn}"?`) {
		t.Errorf("a mistyped place: %v", err)
	}
}

func TestFillingATemplateAddsNoStars(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.String().Draw(t, "value")
		rules, err := access.FillRules([]access.Rule{{Action: access.Read, Pattern: "ci/{v}/*"}}, func(string) (string, bool) { return v, true })
		if err != nil {
			return
		}
		if strings.Count(rules[0].Pattern, "*") != 1 || !strings.HasPrefix(rules[0].Pattern, "ci/") {
			t.Fatalf("%q became %q", v, rules[0].Pattern)
		}
	})
}
func TestAMistypedNameIsRecognized(t *testing.T) {
	all := []string{"prod/orders-db", "prod/cms-s3", "dev/cms-s3"}
	for _, c := range []struct{ name, want string }{
		{"orders-db", "prod/orders-db"},
		{"PROD/CMS-S3", "prod/cms-s3"},
		{"prod/order-db", "prod/orders-db"},
		{"something else entirely", ""},
	} {
		if got := access.Nearest(c.name, all); got != c.want {
			t.Errorf("%q is taken for %q, want %q", c.name, got, c.want)
		}
	}
}
