package oidc_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/oidc"
	"github.com/rota-dev/rota/internal/access/oidc/oidctest"
	"github.com/rota-dev/rota/internal/hint"
)

// asked is how often the provider was asked for keys.
func asked(p *oidctest.Provider) int {
	p.Lock()
	defer p.Unlock()
	return p.KeyRequests
}

func setDown(p *oidctest.Provider, down bool) {
	p.Lock()
	defer p.Unlock()
	p.Down = down
}

// eventually polls, because keys are refreshed in the background.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func forever(claims map[string]any) map[string]any {
	claims["exp"] = start.Add(1000 * time.Hour).Unix()
	return claims
}

func TestRotatedKeys(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	c := &clock{}
	v := verifier(t, c, trusting(p))
	old := p.Sign(t, forever(good(nil)))
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	p.SetKeys(oidctest.NewKey(t, "second", jose.ES256))
	renewed := p.Sign(t, forever(good(nil)))
	c.set(11 * time.Second)
	if _, err := v.Verify(t.Context(), renewed); err != nil {
		t.Errorf("a key that is new at the provider: %v", err)
	}
	if _, err := v.Verify(t.Context(), old); err == nil {
		t.Error("a key that the provider took back is let in after its keys were fetched anew")
	}
}

func TestARevokedKeyStopsWorking(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	c := &clock{}
	v := verifier(t, c, trusting(p))
	old := p.Sign(t, forever(good(nil)))
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	p.SetKeys(oidctest.NewKey(t, "second", jose.ES256))
	c.set(11 * time.Minute) // nobody has asked meanwhile
	if _, err := v.Verify(t.Context(), old); err == nil || errors.Is(err, access.ErrUnavailable) {
		t.Errorf("the old key: %v, want a refusal", err)
	}
}

func TestKeysAreFetchedBeforeAnyoneHasToWait(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	c := &clock{}
	v := verifier(t, c, trusting(p))
	token := p.Sign(t, forever(good(nil)))
	for n, after := range []time.Duration{0, 9 * time.Minute, 18 * time.Minute} {
		c.set(after)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		eventually(t, "keys are fetched", func() bool { return asked(p) == n+1 })
	}
}

func TestForgedKeysRarelyCauseFetches(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	c := &clock{}
	v := verifier(t, c, trusting(p))
	if _, err := v.Verify(t.Context(), p.Sign(t, good(nil))); err != nil {
		t.Fatal(err)
	}
	stranger := oidctest.NewKey(t, "unknown", jose.ES256)
	token := oidctest.SignWith(t, stranger, p.WithIssuer(forever(good(nil))))
	for _, after := range []time.Duration{time.Second, 11 * time.Second, 12 * time.Second, 22 * time.Second} {
		c.set(after)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if _, err := v.Verify(t.Context(), token); err == nil || errors.Is(err, access.ErrUnavailable) {
					t.Errorf("an unknown key: %v, want a refusal", err)
				}
			})
		}
		all.Wait()
	}
	if n := asked(p); n != 3 {
		t.Errorf("asked for keys %d times, want 3: at first, and once in each ten seconds", n)
	}
}

func TestAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	c := &clock{}
	v := verifier(t, c, trusting(p))
	token := p.Sign(t, forever(good(nil)))

	setDown(p, true)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("down from the start: %v, want ErrUnavailable", err)
	}
	setDown(p, false)
	c.set(11 * time.Second)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("up again: %v", err)
	}
	setDown(p, true)
	for _, after := range []time.Duration{time.Minute, 11 * time.Minute, 23 * time.Hour} {
		c.set(after)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("down for %s: %v, but the keys are known", after, err)
		}
	}
	c.set(25 * time.Hour)
	eventually(t, "known keys are too old", func() bool {
		_, err := v.Verify(t.Context(), token)
		return errors.Is(err, access.ErrUnavailable)
	})
	setDown(p, false)
	c.set(26 * time.Hour)
	eventually(t, "the provider is asked again", func() bool { _, err := v.Verify(t.Context(), token); return err == nil })
}

func TestHowKeysAreFetched(t *testing.T) {
	t.Parallel()
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("service-account\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*oidctest.Provider, *oidc.Issuer)
		in     bool
	}{
		{"by discovery", func(*oidctest.Provider, *oidc.Issuer) {}, true},
		{"where the configuration says", func(p *oidctest.Provider, i *oidc.Issuer) { p.ClaimedIssuer, i.JWKS = "other", p.URL+"/keys" }, true},
		{"with a token, as Kubernetes wants", func(p *oidctest.Provider, i *oidc.Issuer) { p.Bearer, i.TokenFile = "service-account", tokenFile }, true},
		{"without the token that is wanted", func(p *oidctest.Provider, _ *oidc.Issuer) { p.Bearer = "service-account" }, false},
		{"with a token file that is not there", func(_ *oidctest.Provider, i *oidc.Issuer) { i.TokenFile = tokenFile + ".no" }, false},
		{"discovery of another issuer", func(p *oidctest.Provider, _ *oidc.Issuer) { p.ClaimedIssuer = "https://other.example.com" }, false},
		{"keys over HTTP", func(p *oidctest.Provider, _ *oidc.Issuer) { p.JWKSURL = "http://keys.example.com/" }, false},
		{"a certificate that nobody vouches for", func(_ *oidctest.Provider, i *oidc.Issuer) { i.CAFile = "" }, false},
		{"no page there", func(p *oidctest.Provider, i *oidc.Issuer) { i.JWKS = p.URL + "/nothing" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t)
			i := trusting(p)
			c.change(p, &i)
			_, err := verifier(t, &clock{}, i).Verify(t.Context(), p.Sign(t, good(nil)))
			if c.in && err != nil || !c.in && !errors.Is(err, access.ErrUnavailable) {
				t.Errorf("Verify: %v; let in: %v", err, c.in)
			}
		})
	}
}

func TestIssuerValidate(t *testing.T) {
	t.Parallel()
	rules := []access.Rule{{Action: access.Read, Pattern: "*"}}
	claims := map[string]string{"project_path": "shop/*"}
	for _, c := range []struct {
		name   string
		change func(*oidc.Issuer)
		want   string // "" for none
	}{
		{"as it should be", func(*oidc.Issuer) {}, ""},
		{"this machine without TLS", func(i *oidc.Issuer) { i.URL = "http://127.0.0.1:8080" }, ""},
		{"no name", func(i *oidc.Issuer) { i.Name = "" }, "invalid name"},
		{"HTTP", func(i *oidc.Issuer) { i.URL = "http://gitlab.example.com" }, "try: https://gitlab.example.com"},
		{"HTTP that looks like this machine", func(i *oidc.Issuer) { i.URL = "http://127.0.0.1.evil.example" }, "is not HTTPS"},
		{"no address", func(i *oidc.Issuer) { i.URL = "gitlab" }, "try: https://"},
		{"keys over HTTP", func(i *oidc.Issuer) { i.JWKS = "http://x.example.com/keys" }, "is not HTTPS"},
		{"no audience", func(i *oidc.Issuer) { i.Audience = "" }, "audience"},
		{"any audience", func(i *oidc.Issuer) { i.Audience = "*" }, "audience"},
		{"no bindings", func(i *oidc.Issuer) { i.Bindings = nil }, "no binding"},
		{"no claims", func(i *oidc.Issuer) { i.Bindings[0].Claims = nil }, "every token"},
		{"a claim of a star", func(i *oidc.Issuer) { i.Bindings[0].Claims = map[string]string{"sub": "*"} }, "matches anything"},
		{"no rules", func(i *oidc.Issuer) { i.Bindings[0].Rules = nil }, "no rule given"},
		{"a mistyped action", func(i *oidc.Issuer) { i.Bindings[0].Rules = []access.Rule{{Action: "rotat", Pattern: "*"}} }, `did you mean "rotate"?`},
		{"a brace too few", func(i *oidc.Issuer) { i.Bindings[0].Principal = "{sub" }, "unbalanced { or }"},
		{"everybody at gitlab.com", func(i *oidc.Issuer) {
			i.URL, i.Bindings[0].Claims = "https://gitlab.com", map[string]string{"ref_protected": "true", "project_path": "*/api"}
		}, "anyone can get a token"},
		{"everybody at GitHub", func(i *oidc.Issuer) {
			i.URL, i.Bindings[0].Claims = "https://token.actions.githubusercontent.com", map[string]string{"sub": "repo:*"}
		}, "anyone can get a token"},
		{"somebody at GitHub", func(i *oidc.Issuer) {
			i.URL, i.Bindings[0].Claims = "https://token.actions.githubusercontent.com", map[string]string{"repository": "shop/*"}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := oidc.Issuer{Name: "gitlab", URL: "https://gitlab.example.com", Audience: audience, Bindings: []oidc.Binding{{Claims: claims, Rules: rules}}}
			c.change(&i)
			err := i.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(hint.Text(err), c.want)) {
				t.Errorf("Validate: %v, want %q", err, c.want)
			}
		})
	}
}

func TestIssuersAreDistinguished(t *testing.T) {
	t.Parallel()
	first, second := oidctest.New(t), oidctest.New(t)
	a, b := trusting(first), trusting(second)
	b.Name = "other"
	v := verifier(t, &clock{}, a, b)
	caller, err := v.Verify(t.Context(), second.Sign(t, good(nil)))
	if err != nil || caller.Principal != "oidc:other:shop/api" {
		t.Errorf("the second issuer's token: %+v, %v", caller, err)
	}
	forged := oidctest.SignWith(t, second.Keys()[0], first.WithIssuer(good(nil)))
	if caller, err := v.Verify(t.Context(), forged); err == nil {
		t.Errorf("one issuer's key proves the other's token: %+v", caller)
	}
	b.Name = a.Name
	if _, err := oidc.NewVerifier([]oidc.Issuer{a, b}, oidc.Options{}); err == nil {
		t.Error("two issuers of one name are let in")
	}
}
