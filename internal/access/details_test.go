package access_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func TestEachStarTakesItsOwnPart(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"a*b*b", "ab", false},
		{"a*b*b", "abb", true},
		{"*ab*ab", "ab", false},
		{"*ab*ab", "abab", true},
		{"shop/*/db/*", "shop/db/x", false},
		{"shop/*/db/*", "shop/eu/db/x", true},
	} {
		if got := access.Match(test.pattern, test.name); got != test.want {
			t.Errorf("%q matches %q: %t, want %t", test.pattern, test.name, got, test.want)
		}
	}
}

func TestARefusalNamesThePermissionOrTheSecret(t *testing.T) {
	nobody := access.Caller{Principal: "app"}
	if err := nobody.Check(access.Admin, ""); err == nil || !strings.Contains(hint.Text(err), "app doesn't have the permission admin") || !strings.Contains(hint.Text(err), "admin:*") {
		t.Errorf("on Rota itself: %v", err)
	}
	if err := nobody.Check(access.Read, "shop/db"); err == nil || !strings.Contains(hint.Text(err), "app may not read shop/db") || !strings.Contains(hint.Text(err), "read:shop/db") {
		t.Errorf("on a secret: %v", err)
	}
	// Of several, the first is named.
	err := access.Authorize(t.Context(), nobody, nil, access.Attempt{Action: access.Read}, "shop/db", "shop/cache")
	if err == nil || !strings.Contains(err.Error(), "shop/db") || strings.Contains(err.Error(), "shop/cache") {
		t.Errorf("on two: %v", err)
	}
}

func TestWhatIsAllowedNeedsNoAudit(t *testing.T) {
	log := &auditLog{err: errors.New("disk full")}
	if err := access.Authorize(t.Context(), root, log, access.Attempt{Action: access.Read}, "a", "b"); err != nil || len(log.entries) > 0 {
		t.Errorf("error %v, entries %v", err, log.entries)
	}
	denied := access.Authorize(t.Context(), access.Caller{}, &auditLog{}, access.Attempt{Action: access.Read}, "a")
	if errors.Is(denied, access.ErrUnrecorded) {
		t.Errorf("a refusal that's in the audit: %v", denied)
	}
}

// broken is a directory that can't be read.
type broken struct {
	*memory.Directory
	err error
}

func (b broken) Principals(context.Context) ([]access.Principal, error) { return nil, b.err }

func TestOnePrincipalIsShown(t *testing.T) {
	a, d, issued := administration(t)
	if err := a.Create(t.Context(), root, "app/orders"); err != nil {
		t.Fatal(err)
	}
	p, err := a.Principal(t.Context(), root, "admin")
	if err != nil || p.Name != "admin" || len(p.Keys) != 1 || p.Keys[0].ID != issued.Key.ID {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := a.Principal(t.Context(), root, "admni"); !errors.Is(err, rota.ErrNotFound) || !strings.Contains(hint.Text(err), `"admin"`) {
		t.Errorf("a mistyped one: %v", err)
	}
	if _, err := a.Principal(t.Context(), root, "someone/else/entirely"); !errors.Is(err, rota.ErrNotFound) || !strings.Contains(hint.Text(err), "rota access list") {
		t.Errorf("one that's like none: %v", err)
	}
	down := errors.New("down")
	if _, err := access.NewAdministration(broken{d, down}, d, nil).Principal(t.Context(), root, "admin"); !errors.Is(err, down) {
		t.Errorf("of a directory that's down: %v", err)
	}
}

func TestRulesAreGrantedOnceAndSorted(t *testing.T) {
	a, _, _ := administration(t)
	rule := func(s string) access.Rule {
		r, err := access.ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	given := []access.Rule{rule("read:shop/*"), rule("list:shop/*"), rule("read:crm/*"), rule("read:shop/*")}
	asGiven := slices.Clone(given)
	if err := a.Create(t.Context(), root, "app", given...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asGiven, given); diff != "" {
		t.Errorf("the caller's rules were changed:\n%s", diff)
	}
	if err := a.Grant(t.Context(), root, "app", rule("audit:*"), rule("read:crm/*")); err != nil {
		t.Fatal(err)
	}
	p, err := a.Principal(t.Context(), root, "app")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]access.Rule{rule("audit:*"), rule("read:crm/*"), rule("list:shop/*"), rule("read:shop/*")}, p.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	for what, err := range map[string]error{
		"granted": a.Grant(t.Context(), root, "nobody", rule("audit:*")),
		"revoked": a.Revoke(t.Context(), root, "nobody", rule("audit:*")),
		"deleted": a.Delete(t.Context(), root, "nobody"),
	} {
		if !errors.Is(err, rota.ErrNotFound) {
			t.Errorf("%s to or of nobody: %v", what, err)
		}
	}
}

func TestKeysAreChangedOneByOne(t *testing.T) {
	a, d, first := administration(t)
	ctx := t.Context()
	seen := len(d.Entries())
	other, err := a.CreateKey(ctx, root, "admin", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if e := d.Entries()[seen]; e.Detail != "" {
		t.Errorf("the audit of a key that never expires says %q", e.Detail)
	}
	login, err := d.Login(ctx, other.Key.ID)
	if err != nil || !login.Secret.Equal(other.Secret.Reveal()) || login.Secret.Equal(first.Secret.Reveal()) || !login.Key.ExpiresAt.IsZero() {
		t.Errorf("the key logs in as %+v, %v", login.Key, err)
	}
	if err := a.DeleteKey(ctx, root, other.Key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Login(ctx, first.Key.ID); err != nil {
		t.Errorf("the other key is gone too: %v", err)
	}
	if _, err := d.Login(ctx, other.Key.ID); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("the deleted key: %v", err)
	}
	if err := a.DisableKey(ctx, root, other.Key.ID); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("disabling a key that's gone: %v", err)
	}
	// Two keys in one change.
	one, two := access.NewSecret("one"), access.NewSecret("two")
	if err := d.Update(ctx, func(c *access.Change) error {
		c.AddKey(&c.Principals[0], access.Key{ID: "ROTAAAAAAAAAAAAAAAA2"}, one)
		c.AddKey(&c.Principals[0], access.Key{ID: "ROTAAAAAAAAAAAAAAAA3"}, two)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if login, err := d.Login(ctx, "ROTAAAAAAAAAAAAAAAA2"); err != nil || !login.Secret.Equal("one") {
		t.Errorf("the first of two: %v", err)
	}
}

func TestAKeyEndsAtItsTime(t *testing.T) {
	k := access.Key{ExpiresAt: start}
	if !k.Usable(start.Add(-1)) || k.Usable(start) {
		t.Error("it's usable until just before its end")
	}
}

// Whoever has the machine can set up principals before there's an administrator.
func TestWithoutAnAdministratorNoneIsMissed(t *testing.T) {
	d := &memory.Directory{}
	if err := access.NewAdministration(d, d, nil).Create(t.Context(), root, "app"); err != nil {
		t.Error(err)
	}
}

func TestAServersRefusalNamesNoOddPrincipal(t *testing.T) {
	a, d, _ := administration(t)
	for given, want := range map[string]string{"app/orders": "app/orders", "rota_secret in the wrong place": ""} {
		seen := len(d.Entries())
		if err := a.Authorize(t.Context(), access.Caller{Principal: "p"}, rotation.OpGrant, given); !errors.Is(err, access.ErrDenied) {
			t.Errorf("%q: %v", given, err)
		}
		if got := d.Entries()[seen].Object; got != want {
			t.Errorf("%q is in the audit as %q, want %q", given, got, want)
		}
	}
}

func TestWhatIsNoToken(t *testing.T) {
	id, secret := "ROTA"+strings.Repeat("A", 16), strings.Repeat("S", 40)
	for _, token := range []string{"", "rota_", "Rota_" + id + "_" + secret, "rota_" + id + "-" + secret, "rota_XOTA" + id[4:] + "_" + secret, id + "_" + secret + "SSSSS", "rota_" + id + "_" + secret[1:], "rota_" + id + "_" + secret + "S"} {
		if _, _, ok := access.ParseToken(token); ok {
			t.Errorf("%q is taken for a token", token)
		}
	}
	if !access.IsToken("rota_x") || access.IsToken("ROTAAAAAAAAAAAAAAAAA") {
		t.Error("a token begins with rota_, and an id doesn't")
	}
}

func TestLongPatternsAndWords(t *testing.T) {
	if err := (access.Rule{Action: access.Read, Pattern: strings.Repeat("a", 512)}).Validate(); err != nil {
		t.Errorf("512 characters: %v", err)
	}
	if err := access.ValidateRules([]access.Rule{{Action: access.Read, Pattern: "*"}}); err != nil {
		t.Error(err)
	}
	if err := access.ValidateRules([]access.Rule{{Action: access.Read, Pattern: "*"}, {Action: "raed", Pattern: "*"}}); err == nil {
		t.Error("an unknown action is a rule")
	}
	if err := (access.Rule{Action: "GET", Pattern: "*"}).Validate(); err == nil || !strings.Contains(hint.Text(err), `did you mean "read"?`) {
		t.Errorf("what others call it, in capitals: %v", err)
	}
	if err := (access.Rule{Action: " READ ", Pattern: "*"}).Validate(); err == nil || !strings.Contains(hint.Text(err), `did you mean "read"?`) {
		t.Errorf("capitals and blanks: %v", err)
	}
	a, b := strings.Repeat("a", 64), strings.Repeat("a", 63)+"b"
	for _, test := range []struct{ word, known, want string }{
		{"PROD/DB", "prod/db", "prod/db"},
		{a, b, b},
		{a + "a", b, ""}, // too long to compare
		{a, b + "b", ""},
		{"bc", "xxxxbc", ""},
		{"abc", "bc", "bc"},
		{"xyz", "bc", ""},
	} {
		if got := access.Nearest(test.word, []string{test.known}); got != test.want {
			t.Errorf("%q is taken for %q, want %q", test.word, got, test.want)
		}
	}
}

func TestTemplatesThatCanNotBeFilled(t *testing.T) {
	long := access.Template("{v}" + strings.Repeat("a", 500))
	fill := func(t access.Template, v string, ok bool) error {
		_, err := t.Fill(func(string) (string, bool) { return v, ok })
		return err
	}
	for name, test := range map[string]struct {
		err  error
		want string // "" for none
	}{
		"a value that isn't verified":            {fill("{v}", "x", false), "no value for v"},
		"a value with an unprintable character":  {fill("{v}", "a\x00", true), "isn't allowed"},
		"as long as allowed":                     {fill(long, strings.Repeat("b", 12), true), ""},
		"longer":                                 {fill(long, strings.Repeat("b", 13), true), "longer than 512"},
		"no name":                                {access.Template("a{}").Validate(nil), "empty placeholder"},
		"any name":                               {access.Template("{x}").Validate(nil), ""},
		"a name that's known":                    {access.Template("{x}").Validate([]string{"y", "x"}), ""},
		"a name that's like none":                {access.Template("{something}").Validate([]string{"cn", "dns"}), "try: {cn}, {dns}"},
		"rules":                                  {access.ValidateTemplates([]access.Rule{{Action: access.Read, Pattern: "ci/{x}/*"}}, []string{"x"}), ""},
		"a rule with an unknown name":            {access.ValidateTemplates([]access.Rule{{Action: access.Read, Pattern: "ci/{y}/*"}}, []string{"x"}), "unknown placeholder {y}"},
		"a rule with an unknown action":          {access.ValidateTemplates([]access.Rule{{Action: "raed", Pattern: "ci/{x}/*"}}, []string{"x"}), `did you mean "read"?`},
		"a rule that can't be a pattern":         {access.ValidateTemplates([]access.Rule{{Action: access.Read, Pattern: "/{x}"}}, []string{"x"}), "don't begin with /"},
		"a rule that's too long with any values": {access.ValidateTemplates([]access.Rule{{Action: access.Read, Pattern: "{x}" + strings.Repeat("a", 512)}}, []string{"x"}), "longer than 512"},
	} {
		if (test.err == nil) != (test.want == "") || test.err != nil && !strings.Contains(hint.Text(test.err), test.want) {
			t.Errorf("%s: %v, want %q", name, test.err, test.want)
		}
	}
}
