package authn_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
)

func limited(t *testing.T, err error) time.Duration {
	t.Helper()
	limit, ok := errors.AsType[*access.LimitError](err)
	if !ok || !errors.Is(err, access.ErrLimited) {
		t.Fatalf("%v, want a LimitError", err)
	}
	return limit.RetryAfter
}

func TestLimits(t *testing.T) {
	t.Parallel()
	two := authn.Rate{PerSecond: 0.5, Burst: 2}
	for _, c := range []struct {
		name   string
		limits authn.Limits
		token  func(*world) string
		want   error // of the first two
	}{
		{"of a principal", authn.Limits{Principal: two}, func(w *world) string { return w.key.Token() }, nil},
		{"of an address", authn.Limits{Address: two}, func(w *world) string { return w.key.Token() }, nil},
		{"of failures", authn.Limits{Failures: two}, func(*world) string { return "rota_wrong" }, access.ErrUnauthenticated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *authn.Options) { o.Limits = c.limits })
			ask := func() error { _, err := w.Authenticate(request("Bearer "+c.token(w)), nil); return err }
			for range 2 {
				if err := ask(); !errors.Is(err, c.want) {
					t.Fatalf("within the burst: %v, want %v", err, c.want)
				}
			}
			for range 3 { // being refused costs nothing more
				if wait := limited(t, ask()); wait != 2*time.Second {
					t.Fatalf("RetryAfter is %s, want 2s", wait)
				}
			}
			w.later(2 * time.Second)
			if err := ask(); !errors.Is(err, c.want) {
				t.Errorf("after RetryAfter: %v, want %v", err, c.want)
			}
		})
	}
}

// TestFailuresOfOthersLockNobodyOut has one address fail in every way, as a
// process on the same machine or behind the same proxy can.
func TestFailuresOfOthersLockNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) { o.Limits.Failures = authn.Rate{PerSecond: 1, Burst: 3} })
	ask := func(authorization string) error { _, err := w.Authenticate(request(authorization), nil); return err }
	for name, bad := range map[string]string{
		"tokens of nobody":          "Bearer rota_wrong",
		"the key with a bad secret": "Bearer " + w.key.Token()[:len(w.key.Token())-1] + "x",
		"signatures of nobody":      "AWS4-HMAC-SHA256 Credential=AKIA/x",
	} {
		for range 10 {
			if err := ask(bad); err == nil {
				t.Fatalf("%s are accepted", name)
			}
		}
		limited(t, ask(bad))
		if err := ask("Bearer " + w.key.Token()); err != nil {
			t.Errorf("after %s, the valid key: %v", name, err)
		}
	}
}

// TestFailuresAreCountedByKey counts those of two keys apart, and tells no one
// which of them exists.
func TestFailuresAreCountedByKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) { o.Limits.Failures = authn.Rate{PerSecond: 1, Burst: 3} })
	id := w.key.Key.ID
	for _, key := range []string{id, id[:len(id)-4] + "AAAA"} {
		for n := range 6 {
			_, err := w.Authenticate(request("Bearer rota_"+key+"_"+strings.Repeat("x", 40)), nil)
			if n < 3 && !errors.Is(err, access.ErrUnauthenticated) || n >= 3 && !errors.Is(err, access.ErrLimited) {
				t.Errorf("failure %d of key %s: %v", n, key, err)
			}
		}
	}
}

// TestAFloodLeavesProvenCredentialsTheirShare floods an address that credentials
// were used at, also with requests that name the victim's key, whose id anyone
// may know.
func TestAFloodLeavesProvenCredentialsTheirShare(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(w *world) string{
		"with the tokens of nobody": func(*world) string { return "Bearer rota_wrong" },
		"with the victim's key id in a token": func(w *world) string {
			return "Bearer rota_" + w.key.Key.ID + "_" + strings.Repeat("x", 40)
		},
		"with the victim's key id in a signature": func(w *world) string {
			return "AWS4-HMAC-SHA256 Credential=" + w.key.Key.ID + "/20260301/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
		},
		"with signatures that can't be parsed": func(w *world) string {
			return "AWS4-HMAC-SHA256 Credential=" + w.key.Key.ID + "/20260301/eu-central-1/secretsmanager/aws4_request"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *authn.Options) {
				o.Limits.Address, o.Limits.Failures = authn.Rate{PerSecond: 1, Burst: 3}, authn.Rate{PerSecond: 1e6, Burst: 1e6}
			})
			attack := request(flood(w))
			attack.Header.Set("X-Amz-Date", w.now().Format("20060102T150405Z"))
			victims := map[string]*http.Request{
				"a token":     request("Bearer " + w.key.Token()),
				"a signature": w.signed(t, w.key.Key.ID, w.key.Secret.Reveal()),
			}
			if _, err := w.Authenticate(victims["a token"], nil); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				_, _ = w.Authenticate(attack, []byte(body))
			}
			if _, err := w.Authenticate(attack, []byte(body)); !errors.Is(err, access.ErrLimited) {
				t.Errorf("the flood costs its address nothing: %v", err)
			}
			for name, r := range victims {
				if _, err := w.Authenticate(r, []byte(body)); err != nil {
					t.Errorf("the proven key, as %s: %v", name, err)
				}
			}
			w.later(time.Second) // a key's share is one, however it's used
			if _, err := w.Authenticate(victims["a token"], nil); err != nil {
				t.Error(err)
			}
			_, err := w.Authenticate(victims["a signature"], []byte(body))
			limited(t, err)
		})
	}
}

func TestMissingCredentialsAreNotAGuess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) { o.Limits.Failures = authn.Rate{PerSecond: 1, Burst: 1} })
	for range 5 {
		if _, err := w.Authenticate(request(""), nil); !errors.Is(err, access.ErrUnauthenticated) {
			t.Fatalf("%v, want ErrUnauthenticated", err)
		}
	}
}

func TestAnIPv6NetworkCountsAsOneAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) { o.Limits.Address = authn.Rate{PerSecond: 1, Burst: 2} })
	from := func(addr string) error {
		r := request("Bearer " + w.key.Token())
		r.RemoteAddr = "[" + addr + "]:1"
		_, err := w.Authenticate(r, nil)
		return err
	}
	for _, addr := range []string{"2001:db8::1", "2001:db8::2"} {
		if err := from(addr); err != nil {
			t.Fatal(err)
		}
	}
	limited(t, from("2001:db8::3"))
	if err := from("2001:db8:0:1::3"); err != nil {
		t.Errorf("from the network beside it: %v", err)
	}
}

func TestTheTableOfAddressesIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) {
		o.Limits = authn.Limits{Address: authn.Rate{PerSecond: 0.001, Burst: 1}, Tracked: 2}
	})
	from := func(n int) error {
		r := request("Bearer " + w.key.Token())
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", n)
		_, err := w.Authenticate(r, nil)
		return err
	}
	for n := range 4 {
		if err := from(n); err != nil {
			t.Fatal(err)
		}
	}
	limited(t, from(3))
	if err := from(0); err != nil {
		t.Errorf("who was not seen for longest is not forgotten: %v", err)
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *authn.Options) {
		o.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"directly", "192.0.2.1:4711", nil, "192.0.2.1"},
		{"directly, and lying", "192.0.2.1:4711", []string{"198.51.100.9"}, "192.0.2.1"},
		{"through a proxy", "10.0.0.1:80", []string{"192.0.2.1"}, "192.0.2.1"},
		{"through a proxy, and lying to it", "10.0.0.1:80", []string{"198.51.100.9, 192.0.2.1"}, "192.0.2.1"},
		{"through two", "10.0.0.1:80", []string{"198.51.100.9, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"through two, in two headers", "10.0.0.1:80", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"of a proxy itself", "10.0.0.1:80", nil, "10.0.0.1"},
		{"with a port", "10.0.0.1:80", []string{"192.0.2.1:1234"}, "192.0.2.1"},
		{"what is no address", "10.0.0.1:80", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		{"IPv6", "[fd00::1]:80", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"over a socket file", "@", []string{"192.0.2.1"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := request("Bearer " + w.key.Token())
			r.RemoteAddr = c.remote
			r.Header["X-Forwarded-For"] = c.forwarded
			caller, err := w.Authenticate(r, nil)
			if err != nil || caller.From != c.want {
				t.Errorf("From is %q (%v), want %q", caller.From, err, c.want)
			}
		})
	}
}
