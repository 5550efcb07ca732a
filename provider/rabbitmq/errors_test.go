package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	s := Shared.Get(t)
	good := admin(t, s)
	name := app(t, s)
	cred := rotate(t, one(t, connect(t, good), name))
	changed := func(change func(*Config)) *single {
		cfg := good
		change(&cfg)
		return one(t, connect(t, cfg), name)
	}
	set := func(ctx context.Context, u *single) error {
		c, err := u.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return u.Set(ctx, rota.SetRequest{Credential: c})
	}
	hang, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hang.Close() })
	t.Run("a wrong password", func(t *testing.T) {
		u := changed(func(cfg *Config) { cfg.Password = "wr0ng-canary" })
		wantError(t, set(t.Context(), u), rota.ClassStop, nil, "Login failed", "username and password of connection mq")
		if f := testenv.FindingOf(t, u, "log in to"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("no administrator", func(t *testing.T) {
		s.Do(t, http.MethodPut, "/users/viewer", map[string]any{"password": adminPassword, "tags": "monitoring"}, nil)
		u := changed(func(cfg *Config) { cfg.Username = "viewer" })
		wantError(t, set(t.Context(), u), rota.ClassStop, nil, "Not administrator user", "rabbitmqctl set_user_tags viewer administrator")
		if f := testenv.FindingOf(t, u, "may change other users"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("a user that may log in on the server's machine alone", func(t *testing.T) {
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"not_authorized","reason":"User can only log in via localhost"}`)
		}))
		defer far.Close()
		wantError(t, set(t.Context(), changed(func(cfg *Config) { cfg.URL = far.URL })), rota.ClassStop, nil, "via localhost", "loopback_users.rota = false")
	})
	t.Run("no server", func(t *testing.T) {
		wantError(t, set(t.Context(), changed(func(cfg *Config) { cfg.URL = "http://127.0.0.1:1" })), rota.ClassWait, nil, "refused", "check url of connection mq")
		u := changed(func(cfg *Config) { cfg.AMQP = "amqp://127.0.0.1:1" })
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, nil, "refused", "check amqp of connection mq")
	})
	t.Run("a server that hangs", func(t *testing.T) {
		u := changed(func(cfg *Config) { cfg.URL, cfg.AMQP = "http://"+hang.Addr().String(), "amqp://"+hang.Addr().String() })
		wantError(t, set(testenv.Soon(t, 100*time.Millisecond), u), rota.ClassWait, context.DeadlineExceeded, "no response in time", "url")
		wantError(t, u.Test(testenv.Soon(t, 100*time.Millisecond), rota.TestRequest{Credential: cred}), rota.ClassWait, context.DeadlineExceeded, "no response in time", "amqp")
		u = changed(func(cfg *Config) {
			cfg.URL, cfg.AMQP, cfg.Timeout = "http://"+hang.Addr().String(), "amqp://"+hang.Addr().String(), 100*time.Millisecond
		})
		wantError(t, set(t.Context(), u), rota.ClassWait, context.DeadlineExceeded, "no response in time", "timeout")
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, context.DeadlineExceeded, "no response in time")
	})
	t.Run("not the management API", func(t *testing.T) {
		for what, answer := range map[string]http.HandlerFunc{
			"a page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
			"not found": http.NotFound,
			"a redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://elsewhere.test", http.StatusFound)
			},
		} {
			other := httptest.NewServer(answer)
			defer other.Close()
			err := set(t.Context(), changed(func(cfg *Config) { cfg.URL = other.URL }))
			t.Log(what, err)
			wantError(t, err, rota.ClassStop, nil, "correct the url of connection mq")
		}
	})
	t.Run("not AMQP", func(t *testing.T) {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		go func() {
			for conn, err := other.Accept(); err == nil; conn, err = other.Accept() {
				_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
				_ = conn.Close()
			}
		}()
		u := changed(func(cfg *Config) { cfg.AMQP = "amqp://" + other.Addr().String() })
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, nil, "amqp of connection mq")
	})
	t.Run("a user without a tag, over the management API", func(t *testing.T) {
		u := changed(func(cfg *Config) { cfg.AMQP = "" })
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, "may not log in to the management API", "amqps://mq.internal")
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: testenv.With(cred, rota.FieldPassword, "something-else")}), rota.ClassWait, rota.ErrRefused)
		if f := testenv.FindingOf(t, u, "for its password"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("an empty password", func(t *testing.T) {
		u := one(t, connect(t, good), name)
		empty := testenv.With(cred, rota.FieldPassword, "")
		wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: empty}), rota.ClassRegenerate, nil)
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: empty}), rota.ClassStop, nil)
	})
	t.Run("names", func(t *testing.T) {
		c := connect(t, good)
		for _, bad := range []string{"", "rota"} {
			if _, err := c.User(UserConfig{User: bad}); err == nil {
				t.Errorf("user %q is taken", bad)
			}
		}
		if _, err := c.Alternating(AlternatingConfig{Users: [2]string{"a", "a"}}); err == nil {
			t.Error("one user is a pair")
		}
	})
}

func TestAddressesHoldAPlaceAndNoMore(t *testing.T) {
	for _, bad := range []string{"", "mq.internal", "http://mq.internal:15672", "https://u:p@mq.internal", "https://mq.internal/api/", "https://mq.internal/?a=b", "amqp://mq.internal"} {
		if _, err := New("mq", Config{URL: bad}); err == nil {
			t.Errorf("url %q is taken", bad)
		}
	}
	for _, bad := range []string{"mq.internal", "amqps://u:p@mq.internal", "amqps://mq.internal/shop", "https://mq.internal"} {
		if _, err := New("mq", Config{URL: "https://mq.internal", AMQP: bad}); err == nil {
			t.Errorf("amqp %q is taken", bad)
		}
	}
	if _, err := New("mq", Config{URL: "https://mq.internal/rabbit/api"}); !strings.Contains(rota.Hint(rota.RemediesOf(err)), "https://mq.internal/rabbit") || strings.Contains(rota.Hint(rota.RemediesOf(err)), "/api") {
		t.Errorf("the hint for a prefix is %q", rota.Hint(rota.RemediesOf(err)))
	}
	c, err := New("mq", Config{URL: "https://mq.internal/rabbit/", AMQP: "amqps://mq.internal"})
	if err != nil || c.api != "https://mq.internal/rabbit/api" || c.amqp.Host != "mq.internal:5671" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestTheServersCertificateIsChecked(t *testing.T) {
	s := Shared.Get(t)
	cert := Shared.Options.CertFile
	other, _, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good := admin(t, s)
	good.URL, good.AMQP, good.Certificates.CA = s.APIS, s.AMQPS, cert
	name := app(t, s)
	cred := rotate(t, one(t, connect(t, good), name))
	for _, test := range []struct{ name, host, ca, refused string }{
		{"another authority", "127.0.0.1", other, "certificate"},
		{"the system's authorities", "127.0.0.1", "", "unknown authority"},
		{"a host that the certificate isn't for", "localhost", cert, "localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := good
			cfg.Certificates.CA = test.ca
			cfg.URL, cfg.AMQP = strings.Replace(cfg.URL, "127.0.0.1", test.host, 1), strings.Replace(cfg.AMQP, "127.0.0.1", test.host, 1)
			u := one(t, connect(t, cfg), name)
			wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, test.refused, "tls_ca")
			wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, test.refused, "tls_ca")
		})
	}
	t.Run("a server without TLS", func(t *testing.T) {
		cfg := admin(t, s)
		cfg.URL, cfg.AMQP, cfg.Timeout = strings.Replace(cfg.URL, "http", "https", 1), strings.Replace(cfg.AMQP, "amqp", "amqps", 1), 2*time.Second
		u := one(t, connect(t, cfg), name)
		wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, "doesn't speak TLS")
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, "doesn't speak TLS")
	})
}

// A proxy that decodes the slash in a user's name asks for another user.
func TestAProxyThatChangesPathsHidesNobody(t *testing.T) {
	s := Shared.Get(t)
	cfg := admin(t, s)
	to, err := url.Parse(s.API)
	if err != nil {
		t.Fatal(err)
	}
	decodes := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.URL.RawPath = ""
	}})
	t.Cleanup(decodes.Close)
	cfg.URL = decodes.URL
	i := one(t, connect(t, cfg), app(t, s))
	_, err = i.List(t.Context())
	wantError(t, err, rota.ClassStop, nil, "is there, but isn't found by its name", "AllowEncodedSlashes")
	if errors.Is(err, rota.ErrNotFound) {
		t.Error("it counts as gone")
	}
}

// A user in loopback_users is refused like one with a wrong password. That its password
// is right shows in the hash, here from the front.
func TestAPasswordThatsRightAndRefused(t *testing.T) {
	s := Shared.Get(t)
	c, f := through(t, s)
	i := one(t, c, app(t, s))
	cred, err := i.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	err = i.Test(t.Context(), rota.TestRequest{Credential: cred})
	if wantError(t, err, rota.ClassWait, rota.ErrRefused); rota.Hint(rota.RemediesOf(err)) != "" {
		t.Errorf("a wrong password: %v", rota.RemediesOf(err))
	}
	f.answers = map[string]string{"/api/users/" + i.names[0]: fmt.Sprintf(`{"name":%q,"password_hash":%q,"hashing_algorithm":%q,"tags":[]}`,
		i.names[0], stored(sha256Module, cred.Field(rota.FieldPassword)), sha256Module)}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, rota.ErrRefused, "loopback_users")
}
