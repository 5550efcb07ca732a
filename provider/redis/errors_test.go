package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func set(t testing.TB, ctx context.Context, u *user) error {
	t.Helper()
	c, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	err = u.Set(ctx, rota.SetRequest{Credential: c})
	if err != nil && errors.Is(err, rota.ErrRefused) {
		t.Errorf("a problem of Rota's own login is blamed on the secret: %v", err)
	}
	return err
}

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	c := admin(t, s)
	name := app(t, s)
	changed := func(change func(*Config)) *user {
		cfg := c.cfg
		change(&cfg)
		return issuerOf(t, connect(t, cfg), name)
	}
	t.Run("a wrong password", func(t *testing.T) {
		u := changed(func(cfg *Config) { cfg.Password = "wr0ng-canary" })
		wantError(t, set(t, t.Context(), u), rota.ClassStop, nil, "WRONGPASS", "username and password of connection cache")
		if f := testenv.FindingOf(t, u, "log in to"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	for _, denied := range []string{"acl|setuser", "acl|getuser", "acl|save", "config|get"} {
		t.Run("may not "+denied, func(t *testing.T) {
			s.Do(t, "acl", "setuser", "rota", "-"+denied)
			defer s.Do(t, "acl", "setuser", "rota", "+"+denied)
			wantError(t, set(t, t.Context(), issuerOf(t, c, name)), rota.ClassStop, nil, "NOPERM", "ACL SETUSER rota +"+denied)
			failed := 0
			for _, f := range issuerOf(t, c, name).Preflight(t.Context()) {
				if !f.OK && len(f.Remedies) > 0 {
					failed++
				}
			}
			if failed == 0 {
				t.Error("check finds nothing wrong")
			}
		})
	}
	t.Run("may not client|list", func(t *testing.T) {
		s.Do(t, "acl", "setuser", "rota", "-client|list")
		defer s.Do(t, "acl", "setuser", "rota", "+client|list")
		u := issuerOf(t, c, name)
		_, err := u.LastUsed(t.Context(), u.CredentialID(rotate(t, u)))
		wantError(t, err, rota.ClassStop, nil, "ACL SETUSER rota +client|list")
		if f := testenv.FindingOf(t, u, "see connections"); f.OK {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("no server", func(t *testing.T) {
		u := changed(func(cfg *Config) { cfg.Addresses = []string{"127.0.0.1:1"} })
		wantError(t, set(t, t.Context(), u), rota.ClassWait, nil, "refused", "addresses and tls of connection cache")
	})
	t.Run("a server that hangs", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		u := changed(func(cfg *Config) { cfg.Addresses = []string{l.Addr().String()} })
		err = set(t, testenv.Soon(t, 100*time.Millisecond), u)
		wantError(t, err, rota.ClassWait, context.DeadlineExceeded, "no response in time", "addresses")
	})
	t.Run("something that isn't Redis", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
				_ = conn.Close()
			}
		}()
		u := changed(func(cfg *Config) { cfg.Addresses = []string{l.Addr().String()} })
		wantError(t, set(t, t.Context(), u), rota.ClassWait, nil, "addresses")
	})
	t.Run("a user that's off", func(t *testing.T) {
		s.Do(t, "acl", "setuser", name, "off")
		defer s.Do(t, "acl", "setuser", name, "on")
		wantError(t, set(t, t.Context(), issuerOf(t, c, name)), rota.ClassStop, nil, "is off", "ACL SETUSER "+name+" on")
	})
	t.Run("a user whom any password lets in", func(t *testing.T) {
		open := app(t, s)
		s.Do(t, "acl", "setuser", open, "nopass")
		u := issuerOf(t, c, open)
		wantError(t, set(t, t.Context(), u), rota.ClassStop, nil, "nopass", "resetpass")
		if f := testenv.FindingOf(t, u, "find user"); f.OK {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("no such user", func(t *testing.T) {
		u := issuerOf(t, c, "nobody")
		wantError(t, set(t, t.Context(), u), rota.ClassStop, rota.ErrNotFound, "ACL SETUSER nobody on")
		if issued, err := u.List(t.Context()); err != nil || len(issued) > 0 {
			t.Errorf("it lists %v (%v)", issued, err)
		}
	})
	for _, bad := range []string{"default", "rota", "", "two words"} {
		if _, err := c.User(UserConfig{Name: bad}); err == nil {
			t.Errorf("user %q is taken", bad)
		}
	}
}

// certificate is one for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	cert, key, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestTheServersCertificateIsChecked(t *testing.T) {
	cert, key := certificate(t)
	other, _ := certificate(t)
	s := testenv.Redis(t, testenv.RedisOptions{CertFile: cert, KeyFile: key})
	yes := true
	cfg := admin(t, s).cfg
	cfg.TLS = &yes
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, host, ca, refused string }{
		{"the right authority and host", "127.0.0.1", cert, ""},
		{"another authority", "127.0.0.1", other, "certificate"},
		{"the system's authorities", "127.0.0.1", "", "unknown authority"},
		{"a host that the certificate isn't for", "localhost", cert, "localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := cfg
			cfg.Certificates.CA, cfg.Addresses = test.ca, []string{net.JoinHostPort(test.host, port)}
			u := issuerOf(t, connect(t, cfg), app(t, s))
			if test.refused == "" {
				rotate(t, u)
				return
			}
			wantError(t, set(t, t.Context(), u), rota.ClassStop, nil, test.refused, "tls_ca")
		})
	}
	t.Run("a server without TLS", func(t *testing.T) {
		plain := testenv.Redis(t, testenv.RedisOptions{})
		cfg := cfg
		cfg.Addresses = []string{plain.Addr}
		cfg.Timeout = 500 * time.Millisecond
		if err := set(t, t.Context(), issuerOf(t, connect(t, cfg), app(t, plain))); err == nil || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("without TLS on this machine", func(t *testing.T) {
		cfg := cfg
		cfg.TLS = nil
		if err := set(t, t.Context(), issuerOf(t, connect(t, cfg), app(t, s))); err == nil || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("got %v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"redis.internal": "tcp redis.internal:6379", "redis.internal:7000": "tcp redis.internal:7000", "[::1]:7000": "tcp [::1]:7000",
		"::1": "tcp [::1]:6379", "/run/redis/s": "unix /run/redis/s",
		"redis://u:p@redis.internal": "", "u@redis.internal": "", "redis.internal:x": "", "": "", ":6379": "",
	} {
		network, addr, err := endpoint(address)
		if got := network + " " + addr; want == "" && err == nil || want != "" && got != want {
			t.Errorf("%q is %q (%v), want %q", address, got, err, want)
		}
	}
	if (Config{}).encrypted(endpointOf(t, "127.0.0.1")) || (Config{}).encrypted(endpointOf(t, "/run/s")) || !(Config{}).encrypted(endpointOf(t, "redis.internal")) {
		t.Error("TLS isn't the default away from this machine alone")
	}
}

func endpointOf(t *testing.T, address string) (string, string) {
	t.Helper()
	network, addr, err := endpoint(address)
	if err != nil {
		t.Fatal(err)
	}
	return network, addr
}

func TestASocketIsEnough(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	cfg := admin(t, s).cfg
	cfg.Addresses = []string{s.Socket}
	rotate(t, issuerOf(t, connect(t, cfg), app(t, s)))
	one, err := admin(t, s).Identity(t.Context())
	two, err2 := connect(t, cfg).Identity(t.Context())
	if one == "" || one != two {
		t.Errorf("the same server is %q and %q (%v, %v)", one, two, err, err2)
	}
}
