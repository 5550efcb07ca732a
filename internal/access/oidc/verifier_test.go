package oidc_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/oidc"
	"github.com/rota-dev/rota/internal/access/oidc/oidctest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const audience = "https://rota.example.com"

// clock is a clock that tests set.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) set(since time.Duration) { c.offset.Store(int64(since)) }

func trusting(p *oidctest.Provider) oidc.Issuer {
	return oidc.Issuer{
		Name: "gitlab", URL: p.URL, Audience: audience, CAFile: p.CAFile,
		Bindings: []oidc.Binding{{
			Claims:    map[string]string{"project_path": "shop/*", "ref_protected": "true"},
			Principal: "{project_path}",
			Rules:     []access.Rule{{Action: access.Read, Pattern: "ci/{project_path}/*"}},
		}},
	}
}

func verifier(t testing.TB, c *clock, issuers ...oidc.Issuer) *oidc.Verifier {
	t.Helper()
	v, err := oidc.NewVerifier(issuers, oidc.Options{Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// good is the claims of a token that is accepted, with some replaced; nil
// removes one.
func good(change map[string]any) map[string]any {
	claims := map[string]any{
		"aud": audience, "sub": "project_path:shop/api:ref_type:branch:ref:main",
		"iat": start.Unix(), "nbf": start.Unix() - 5, "exp": start.Unix() + 300,
		"project_path": "shop/api", "ref_protected": "true",
	}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	return claims
}

func TestAValidTokenIsAccepted(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.EdDSA} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t)
			p.SetKeys(oidctest.NewKey(t, "k", algorithm), oidctest.NewKey(t, "other", jose.ES256))
			caller, err := verifier(t, &clock{}, trusting(p)).Verify(t.Context(), p.Sign(t, good(nil)))
			if err != nil {
				t.Fatal(err)
			}
			want := access.Caller{
				Principal: "oidc:gitlab:shop/api", Method: "oidc",
				Rules: []access.Rule{{Action: access.Read, Pattern: "ci/shop/api/*"}},
			}
			if diff := cmp.Diff(want, caller); diff != "" {
				t.Errorf("caller (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokensByTheirClaims(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	v := verifier(t, &clock{}, trusting(p))
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for _, c := range []struct {
		name   string
		change map[string]any
		in     bool
	}{
		{"as it should be", nil, true},
		{"one audience of several", map[string]any{"aud": []string{"https://other.example.com", audience}}, true},
		{"true as a boolean", map[string]any{"ref_protected": true}, true},
		{"expired within the skew", map[string]any{"exp": at(-20 * time.Second)}, true},
		{"issued a little in the future", map[string]any{"iat": at(20 * time.Second), "nbf": at(20 * time.Second)}, true},
		{"without iat and nbf", map[string]any{"iat": nil, "nbf": nil}, true},
		{"another audience", map[string]any{"aud": "https://other.example.com"}, false},
		{"an audience that begins so", map[string]any{"aud": audience + ".evil.example"}, false},
		{"no audience", map[string]any{"aud": nil}, false},
		{"an empty audience", map[string]any{"aud": []string{}}, false},
		{"another issuer", map[string]any{"iss": "https://evil.example.com"}, false},
		{"the issuer with a slash more", map[string]any{"iss": p.URL + "/"}, false},
		{"no issuer", map[string]any{"iss": ""}, false},
		{"expired", map[string]any{"exp": at(-31 * time.Second)}, false},
		{"no expiry", map[string]any{"exp": nil}, false},
		{"not yet valid", map[string]any{"nbf": at(time.Minute)}, false},
		{"issued in the future", map[string]any{"iat": at(time.Minute)}, false},
		{"another project", map[string]any{"project_path": "shopping/api"}, false},
		{"no project", map[string]any{"project_path": nil}, false},
		{"a project with a star", map[string]any{"project_path": "shop/*"}, false},
		{"a project that is an object", map[string]any{"project_path": map[string]any{"a": "shop/api"}}, false},
		{"several projects, one of them right", map[string]any{"project_path": []string{"shop/api", "shop/web"}}, false},
		{"a branch that is not protected", map[string]any{"ref_protected": "false"}, false},
		{"a claim that is null", map[string]any{"ref_protected": json.RawMessage("null")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			caller, err := v.Verify(t.Context(), p.Sign(t, good(c.change)))
			if (err == nil) != c.in {
				t.Errorf("Verify: %+v, %v; let in: %v", caller, err, c.in)
			}
			if err != nil && (len(caller.Rules) > 0 || caller.Principal != "") {
				t.Errorf("a refused token still gives %+v", caller)
			}
		})
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	v := verifier(t, &clock{}, trusting(p))
	if _, err := v.Verify(t.Context(), p.Sign(t, good(nil))); err != nil {
		t.Fatal(err) // and the keys are known now
	}
	claims := p.WithIssuer(good(nil))
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	real := p.Keys()[0]
	der, err := x509.MarshalPKIXPublicKey(real.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	mine := oidctest.NewKey(t, real.ID, jose.RS256)
	hmacWith := func(key []byte) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: key, KeyID: real.ID}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	embedded := func() string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: mine.Private}, &jose.SignerOptions{EmbedJWK: true})
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	whole := p.Sign(t, good(nil))
	parts := strings.Split(whole, ".")
	other, err := json.Marshal(p.WithIssuer(good(map[string]any{"project_path": "shop/prod"})))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"nothing":                       "",
		"dots":                          "..",
		"alg none":                      part([]byte(`{"alg":"none","kid":"first"}`)) + "." + part(payload) + ".",
		"alg None":                      part([]byte(`{"alg":"None","kid":"first"}`)) + "." + part(payload) + ".",
		"no alg":                        part([]byte(`{"kid":"first"}`)) + "." + part(payload) + "." + parts[2],
		"HMAC with the public key, DER": hmacWith(der),
		"HMAC with the public key, PEM": hmacWith(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"another's key of the same id":  oidctest.SignWith(t, mine, claims),
		"another's key inside":          embedded(),
		"another algorithm's name":      part([]byte(`{"alg":"ES256","kid":"first"}`)) + "." + parts[1] + "." + parts[2],
		"RS512 of a key that is RS256":  oidctest.SignWith(t, oidctest.Key{ID: real.ID, Algorithm: jose.RS512, Private: real.Private}, claims),
		"PS256, which is not let in":    oidctest.SignWith(t, oidctest.Key{ID: real.ID, Algorithm: jose.PS256, Private: real.Private}, claims),
		"other claims, same signature":  parts[0] + "." + part(other) + "." + parts[2],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"a part more":                   whole + "." + parts[2],
		"an unknown critical header":    part([]byte(`{"alg":"RS256","kid":"first","crit":["x"],"x":1}`)) + "." + parts[1] + "." + parts[2],
		"as JSON":                       `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"too long":                      whole + strings.Repeat("A", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if caller, err := v.Verify(t.Context(), token); err == nil {
				t.Errorf("let in as %+v", caller)
			} else if parts[2] != "" && strings.Contains(err.Error(), parts[2]) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

// A provider that publishes a symmetric or weak key must not be trusted with
// it.
func TestKeysThatVerifyNothing(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	shared := []byte(strings.Repeat("k", 32))
	encryption := oidctest.NewKey(t, "enc", jose.RS256)
	p.ExtraKeys = []jose.JSONWebKey{
		{Key: shared, KeyID: "shared", Algorithm: "HS256", Use: "sig"},
		{Key: encryption.Private.Public(), KeyID: "enc", Use: "enc"},
	}
	v := verifier(t, &clock{}, trusting(p))
	if _, err := v.Verify(t.Context(), oidctest.SignWith(t, encryption, p.WithIssuer(good(nil)))); err == nil {
		t.Error("a key for encryption verifies")
	}
	if _, err := v.Verify(t.Context(), p.Sign(t, good(nil))); err != nil {
		t.Errorf("the good key beside them: %v", err)
	}
	p.SetKeys()
	if _, err := verifier(t, &clock{}, trusting(p)).Verify(t.Context(), oidctest.SignWith(t, encryption, p.WithIssuer(good(nil)))); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("no usable key at all: %v, want ErrUnavailable", err)
	}
}

func TestATokenWithoutAKeyIDIsTriedWithAllKeys(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	second := oidctest.NewKey(t, "second", jose.ES256)
	p.SetKeys(p.Keys()[0], second)
	second.ID = ""
	if _, err := verifier(t, &clock{}, trusting(p)).Verify(t.Context(), oidctest.SignWith(t, second, p.WithIssuer(good(nil)))); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	p := oidctest.New(f)
	whole := p.Sign(f, good(nil))
	other := p.Sign(f, good(map[string]any{"aud": "other"}))
	v := verifier(f, &clock{}, trusting(p))
	for _, seed := range []string{whole, other, "", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", strings.ToUpper(whole)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := v.Verify(t.Context(), token)
		// RSA signatures have exactly one form, so only the token itself is
		// accepted; base64 may end in different bits.
		if err == nil && !strings.HasPrefix(token, whole[:len(whole)-1]) {
			t.Errorf("%q is let in as %+v", token, caller)
		}
	})
}

// TestAKnownTokenIsCheckedAgain repeats a token after everything that ends it.
// What costs most, its signature, is verified once for each set of keys.
func TestAKnownTokenIsCheckedAgain(t *testing.T) {
	p := oidctest.New(t)
	p.SetKeys(oidctest.NewKey(t, "k", jose.ES256))
	c := &clock{}
	v := verifier(t, c, trusting(p))
	token := p.Sign(t, good(map[string]any{"exp": start.Add(time.Hour).Unix()}))
	verify := func() {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	verify()
	known := testing.AllocsPerRun(10, verify)
	altered := token[:len(token)-8] + strings.Repeat("A", 8)
	unknown := testing.AllocsPerRun(10, func() {
		if _, err := v.Verify(t.Context(), altered); err == nil {
			t.Fatal("an altered token is accepted")
		}
	})
	if known > unknown/4 {
		t.Errorf("a known token takes %.0f allocations, an unknown one %.0f", known, unknown)
	}

	ended := verifier(t, c, trusting(p)) // of its own: the clock goes back afterwards
	if _, err := ended.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	c.set(time.Hour + 31*time.Second)
	if _, err := ended.Verify(t.Context(), token); err == nil {
		t.Error("it's accepted after its end")
	}
	c.set(0)
	verify()
	p.SetKeys(oidctest.NewKey(t, "k", jose.ES256)) // the old one is revoked
	deadline := time.Now().Add(20 * time.Second)
	c.set(10 * time.Minute)
	for time.Now().Before(deadline) { // until the keys have been fetched in the background
		if _, err := v.Verify(t.Context(), token); err != nil {
			return
		}
	}
	t.Error("it's accepted after its issuer's key was revoked")
}
