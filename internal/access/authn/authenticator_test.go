package authn_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/internal/access/oidc"
	"github.com/rota-dev/rota/internal/access/oidc/oidctest"
	"github.com/rota-dev/rota/internal/sigv4"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const body = `{"SecretId":"shop/db"}`

// world is a directory with one principal and one key, and an authenticator
// with all methods.
type world struct {
	*authn.Authenticator
	directory *memory.Directory
	admin     *access.Administration
	key       access.Issued
	provider  *oidctest.Provider
	offset    atomic.Int64
	log       bytes.Buffer
}

var root = access.Local("root")

func newWorld(t *testing.T, change func(*authn.Options)) *world {
	t.Helper()
	w := &world{directory: &memory.Directory{}, provider: oidctest.New(t)}
	cache, err := access.NewCache(w.directory, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.admin = access.NewAdministration(cache, w.directory, w.now)
	if _, err := w.admin.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.admin.Create(t.Context(), root, "app/orders", access.Rule{Action: access.Read, Pattern: "shop/*"}); err != nil {
		t.Fatal(err)
	}
	if w.key, err = w.admin.CreateKey(t.Context(), root, "app/orders", start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	tokens, err := oidc.NewVerifier([]oidc.Issuer{{
		Name: "ci", URL: w.provider.URL, Audience: "rota", CAFile: w.provider.CAFile,
		Bindings: []oidc.Binding{{Claims: map[string]string{"sub": "job-*"}, Rules: root.Rules}},
	}}, oidc.Options{Now: w.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	signatures := &sigv4.Verifier{Now: w.now}
	o := authn.Options{
		Directory: cache, Tokens: tokens, Now: w.now,
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		SigV4: func(r *http.Request) (string, func([]byte, string) error, error) {
			s, err := signatures.Read(r)
			return s.KeyID, func(body []byte, secret string) error { return signatures.Check(r, body, s, sigv4.Key{Secret: secret}) }, err
		},
	}
	if change != nil {
		change(&o)
	}
	if w.Authenticator, err = authn.New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) now() time.Time { return start.Add(time.Duration(w.offset.Load())) }

func (w *world) later(since time.Duration) { w.offset.Store(int64(since)) }

func request(authorization string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://rota.example.com/", strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:4711"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func (w *world) signed(t *testing.T, id, secret string) *http.Request {
	t.Helper()
	r := request("")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r,
		hex.EncodeToString(sum[:]), "secretsmanager", "eu-central-1", w.now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) idToken(t *testing.T, subject string) string {
	return w.provider.Sign(t, map[string]any{"aud": "rota", "sub": subject, "exp": start.Add(10 * time.Hour).Unix()})
}

func TestWaysIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	app := access.Caller{Principal: "app/orders", From: "192.0.2.1", Rules: []access.Rule{{Action: access.Read, Pattern: "shop/*"}}, Key: w.key.Key.ID}
	for _, c := range []struct {
		name    string
		request *http.Request
		want    access.Caller
		method  string
	}{
		{"a signature", w.signed(t, w.key.Key.ID, w.key.Secret.Reveal()), app, "sigv4"},
		{"a token", request("Bearer " + w.key.Token()), app, "token"},
		{"a token, the scheme in small letters", request("bearer " + w.key.Token()), app, "token"},
		{"an id token", request("Bearer " + w.idToken(t, "job-7")), access.Caller{Principal: "oidc:ci:job-7", From: "192.0.2.1", Rules: root.Rules}, "oidc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := w.Authenticate(c.request, []byte(body))
			c.want.Method = c.method
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("error %v, caller (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Every failure gets the same response.
func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id, secret := w.key.Key.ID, w.key.Secret.Reveal()
	unknown := "ROTA" + strings.Repeat("A", 16)
	wrong := strings.Repeat("A", 40)
	twice := request("Bearer " + w.key.Token())
	twice.Header.Add("Authorization", "Bearer "+w.key.Token())
	twoKeys := w.signed(t, id, secret)
	signature := twoKeys.Header.Get("Authorization")
	twoKeys.Header.Set("Authorization", strings.Replace(signature, "Credential=", "Credential="+unknown+"/x/y/z/w, Credential=", 1))
	twoHeaders := w.signed(t, id, secret)
	twoHeaders.Header.Add("Authorization", signature)
	altered := w.signed(t, id, secret)
	altered.Header.Set("X-Amz-Target", "secretsmanager.DeleteSecret")
	for name, r := range map[string]*http.Request{
		"nothing":                         request(""),
		"a password":                      request("Basic " + w.key.Token()),
		"no scheme":                       request(w.key.Token()),
		"an empty token":                  request("Bearer "),
		"a wrong secret":                  request("Bearer rota_" + id + "_" + wrong),
		"an unknown key":                  request("Bearer rota_" + unknown + "_" + secret),
		"a token cut off":                 request("Bearer " + w.key.Token()[:60]),
		"a token with more":               request("Bearer " + w.key.Token() + "A"),
		"two tokens":                      twice,
		"an id token of another":          request("Bearer " + w.idToken(t, "user-7")),
		"no id token":                     request("Bearer a.b.c"),
		"a signature of a wrong secret":   w.signed(t, id, wrong),
		"a signature of an unknown key":   w.signed(t, unknown, secret),
		"a signature of no key":           w.signed(t, "AKIDEXAMPLE", secret),
		"a signature of another request":  altered,
		"a signature with two keys":       twoKeys,
		"two signatures":                  twoHeaders,
		"a signature cut off":             request("AWS4-HMAC-SHA256 Credential=" + id),
		"a signature for a key as header": request("AWS4-HMAC-SHA256 " + w.key.Token()),
	} {
		caller, err := w.Authenticate(r, []byte(body))
		if !errors.Is(err, access.ErrUnauthenticated) || err.Error() != access.ErrUnauthenticated.Error() {
			t.Errorf("%s: %v, want ErrUnauthenticated and nothing more", name, err)
		}
		if caller.Principal != "" || caller.Rules != nil {
			t.Errorf("%s: still gives %+v", name, caller)
		}
	}
	if _, err := w.Authenticate(w.signed(t, id, secret), []byte(`{"SecretId":"other"}`)); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("another body than was signed: %v", err)
	}
	if log := w.log.String(); strings.Contains(log, secret) || strings.Contains(log, wrong) || !strings.Contains(log, id) {
		t.Errorf("the log must have the id and no secret:\n%s", log)
	}
}

func TestDisabledAndExpiredKeys(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*testing.T, *world) error{
		"disabled":                  func(t *testing.T, w *world) error { return w.admin.DisableKey(t.Context(), root, w.key.Key.ID) },
		"deleted":                   func(t *testing.T, w *world) error { return w.admin.DeleteKey(t.Context(), root, w.key.Key.ID) },
		"its principal is disabled": func(t *testing.T, w *world) error { return w.admin.Disable(t.Context(), root, "app/orders") },
		"its principal is deleted":  func(t *testing.T, w *world) error { return w.admin.Delete(t.Context(), root, "app/orders") },
		"expired":                   func(_ *testing.T, w *world) error { w.later(time.Hour); return nil },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ask := func() error {
				_, err := w.Authenticate(request("Bearer "+w.key.Token()), nil)
				_, signed := w.Authenticate(w.signed(t, w.key.Key.ID, w.key.Secret.Reveal()), []byte(body))
				if (err == nil) != (signed == nil) {
					t.Errorf("token: %v, signature: %v", err, signed)
				}
				return err
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			if err := end(t, w); err != nil {
				t.Fatal(err)
			}
			if err := ask(); !errors.Is(err, access.ErrUnauthenticated) {
				t.Errorf("at once: %v, want ErrUnauthenticated", err)
			}
		})
	}
}

// broken is a directory whose database is down.
type broken struct{ access.Directory }

func (broken) Login(context.Context, string) (access.Login, error) {
	return access.Login{}, errors.New("connection refused")
}

func TestAnOutageIsNotARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) {
		o.Directory, o.Limits.Failures = broken{}, authn.Rate{PerSecond: 0.001, Burst: 1}
	})
	w.provider.Lock()
	w.provider.Down = true
	w.provider.Unlock()
	for range 3 { // nor a failure to be counted
		for name, r := range map[string]*http.Request{
			"the database, a token":       request("Bearer " + w.key.Token()),
			"the database, a signature":   w.signed(t, w.key.Key.ID, w.key.Secret.Reveal()),
			"the provider of an id token": request("Bearer " + w.idToken(t, "job-1")),
		} {
			if _, err := w.Authenticate(r, []byte(body)); !errors.Is(err, access.ErrUnavailable) || strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: %v, want ErrUnavailable and no inner text", name, err)
			}
		}
	}
	if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d lines in the log, want 1 for all of them:\n%s", n, &w.log)
	}
}

func TestLastUseIsWrittenOnceAnHour(t *testing.T) {
	t.Parallel()
	counted := &countUses{}
	w := newWorld(t, func(o *authn.Options) {
		counted.Directory = o.Directory
		o.Directory = counted
	})
	ask := func() {
		t.Helper()
		if _, err := w.Authenticate(request("Bearer "+w.key.Token()), nil); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	counted.failing = errors.New("down")
	if err := w.Flush(t.Context()); err == nil {
		t.Error("Flush hides that it failed")
	}
	counted.failing = nil
	for range 3 {
		ask()
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if counted.written != 1 {
		t.Errorf("%d writes within the hour, want 1", counted.written)
	}
	all, err := w.directory.Principals(t.Context())
	if err != nil || !all[1].Keys[0].UsedAt.Equal(start.Truncate(time.Hour)) {
		t.Errorf("%+v, %v: want the use of this hour", all, err)
	}
}

type countUses struct {
	access.Directory
	written int
	failing error
}

func (c *countUses) MarkUsed(ctx context.Context, at map[string]time.Time) error {
	if c.failing != nil {
		return c.failing
	}
	c.written += len(at)
	return c.Directory.MarkUsed(ctx, at)
}

func TestRunWritesUsesWhenItEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if _, err := w.Authenticate(request("Bearer "+w.key.Token()), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Run(ctx)
	all, err := w.directory.Principals(t.Context())
	if err != nil || all[1].Keys[0].UsedAt.IsZero() {
		t.Errorf("%+v, %v: want a use", all, err)
	}
}

func FuzzAuthorization(f *testing.F) {
	directory := &memory.Directory{}
	issued, err := access.NewAdministration(directory, directory, nil).Bootstrap(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	a, err := authn.New(authn.Options{
		Directory: directory, Log: slog.New(slog.DiscardHandler),
		Limits:  authn.Limits{Address: authn.Rate{PerSecond: 1e9, Burst: 1e9}, Failures: authn.Rate{PerSecond: 1e9, Burst: 1e9}, Principal: authn.Rate{PerSecond: 1e9, Burst: 1e9}},
		Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	if err != nil {
		f.Fatal(err)
	}
	good := "Bearer " + issued.Token()
	f.Add(good, "198.51.100.1")
	f.Add("Bearer rota_", "")
	f.Add("AWS4-HMAC-SHA256 Credential=", ",,")
	f.Fuzz(func(t *testing.T, authorization, forwarded string) {
		r := request("")
		r.Header["Authorization"] = []string{authorization}
		r.Header.Set("X-Forwarded-For", forwarded)
		caller, err := a.Authenticate(r, nil)
		scheme, token, _ := strings.Cut(authorization, " ")
		let := strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) == issued.Token()
		if (err == nil) != let {
			t.Errorf("%q: %+v, %v", authorization, caller, err)
		}
		if _, bad := netip.ParseAddr(caller.From); err == nil && bad != nil {
			t.Errorf("%q: From is %q", forwarded, caller.From)
		}
	})
}

func ExampleNew() {
	directory := &memory.Directory{}
	issued, err := access.NewAdministration(directory, directory, nil).Bootstrap(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	cache, err := access.NewCache(directory, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	authenticator, err := authn.New(authn.Options{Directory: cache})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issued.Token())
	caller, err := authenticator.Authenticate(r, nil)
	fmt.Println(caller.Principal, caller.Method, caller.Allows(access.Rotate, "shop/db"), err)
	// Output: admin token true <nil>
}
