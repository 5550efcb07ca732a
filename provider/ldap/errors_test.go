package ldap

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func set(t testing.TB, ctx context.Context, i rota.Issuer) error {
	t.Helper()
	c, err := i.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return i.Set(ctx, rota.SetRequest{Credential: c})
}

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	s := start(t, testenv.SlapdOptions{})
	dn := app(t, s)
	cred := rotate(t, issuerOf(t, connect(t, admin(s)), EntryConfig{DN: dn}))
	changed := func(change func(*Config)) rota.Issuer {
		cfg := admin(s)
		change(&cfg)
		return issuerOf(t, connect(t, cfg), EntryConfig{DN: dn})
	}
	hang, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hang.Close() })
	t.Run("a wrong password", func(t *testing.T) {
		i := changed(func(cfg *Config) { cfg.Password = "wr0ng-canary" })
		wantError(t, set(t, t.Context(), i), rota.ClassStop, nil, "Invalid Credentials", "bind_dn and password of connection directory")
		if f := testenv.FindingOf(t, i, "log in to"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("an entry without permissions", func(t *testing.T) {
		s.Add(t, "cn=viewer,dc=example,dc=com", map[string]string{"objectClass": "applicationProcess", "cn": "viewer"})
		viewer := ldap.NewModifyRequest("cn=viewer,dc=example,dc=com", nil)
		viewer.Add("objectClass", []string{"simpleSecurityObject"})
		viewer.Add("userPassword", []string{adminPassword})
		s.Do(t, func(conn *ldap.Conn) error { return conn.Modify(viewer) })
		i := changed(func(cfg *Config) { cfg.BindDN = "cn=viewer,dc=example,dc=com" })
		// It isn't even shown.
		wantError(t, set(t, t.Context(), i), rota.ClassStop, rota.ErrNotFound, "let cn=viewer,dc=example,dc=com read it")
		if f := testenv.FindingOf(t, i, "find entry"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("an entry that may only read", func(t *testing.T) {
		s := start(t, testenv.SlapdOptions{Lines: "access to * by * read\n"})
		s.Add(t, "ou=else,dc=example,dc=com", map[string]string{"objectClass": "organizationalUnit"})
		s.Add(t, "cn=x,ou=else,dc=example,dc=com", map[string]string{"objectClass": "person", "cn": "x", "sn": "x"})
		for _, cfg := range []EntryConfig{{}, {Hash: SchemeSSHA}, {Two: true}} {
			cfg.DN = "cn=x,ou=else,dc=example,dc=com"
			i := issuerOf(t, connect(t, admin(s)), cfg)
			wantError(t, set(t, t.Context(), i), rota.ClassStop, nil, "nsufficient", "access to attrs=userPassword by dn.exact=\""+rotaDN+"\" write")
			if f := testenv.FindingOf(t, i, "read which passwords"); f.OK || !f.Warning {
				t.Errorf("check says %+v", f)
			}
		}
	})
	t.Run("no such entry", func(t *testing.T) {
		i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: "cn=nobody,ou=apps,dc=example,dc=com"})
		wantError(t, set(t, t.Context(), i), rota.ClassStop, rota.ErrNotFound, "new dn in rota.yaml")
		if all, err := i.(rota.Lister).List(t.Context()); err != nil || len(all) > 0 {
			t.Errorf("it lists %v (%v)", all, err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		i := changed(func(cfg *Config) { cfg.URL = "ldap://127.0.0.1:1" })
		wantError(t, set(t, t.Context(), i), rota.ClassWait, nil, "refused", "check url of connection directory")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, nil, "refused", "check url of connection directory")
	})
	t.Run("a server that hangs", func(t *testing.T) {
		i := changed(func(cfg *Config) { cfg.URL = "ldap://" + hang.Addr().String() })
		wantError(t, set(t, testenv.Soon(t, 100*time.Millisecond), i), rota.ClassWait, context.DeadlineExceeded, "no response in time", "url")
		i = changed(func(cfg *Config) { cfg.URL, cfg.Timeout = "ldap://"+hang.Addr().String(), 100*time.Millisecond })
		wantError(t, set(t, t.Context(), i), rota.ClassWait, context.DeadlineExceeded, "no response in time", "timeout")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, context.DeadlineExceeded, "no response in time")
	})
	t.Run("something that isn't LDAP", func(t *testing.T) {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		go func() {
			for conn, err := other.Accept(); err == nil; conn, err = other.Accept() {
				_, _ = conn.Write([]byte("220 mail.test ESMTP\r\n"))
				_ = conn.Close()
			}
		}()
		i := changed(func(cfg *Config) { cfg.URL = "ldap://" + other.Addr().String() })
		wantError(t, set(t, t.Context(), i), rota.ClassWait, nil, "check url of connection directory")
	})
}

func TestAddressesHoldAPlaceAndNoMore(t *testing.T) {
	for _, bad := range []string{"", "ldap.internal", "https://ldap.internal", "ldaps://u:p@ldap.internal", "ldaps://ldap.internal/dc=example", "ldaps://ldap.internal?x", "ldaps:///"} {
		if _, err := New("directory", Config{URL: bad, BindDN: rotaDN, Password: "x"}); err == nil {
			t.Errorf("url %q is taken", bad)
		}
	}
	for _, bad := range []Config{{URL: "ldap://ldap.internal", Plain: true}, {URL: "ldaps://127.0.0.1", Plain: true}, {URL: "ldaps://ldap.internal", BindDN: "rota"}} {
		if bad.BindDN == "" {
			bad.BindDN = rotaDN
		}
		bad.Password = "x"
		if _, err := New("directory", bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	c, err := New("directory", Config{URL: "ldaps://ldap.internal", BindDN: rotaDN, Password: "x"})
	if err != nil || c.url.Host != "ldap.internal:636" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "orders", "CN=Rota, dc=example,dc=com"} {
		if _, err := c.Entry(EntryConfig{DN: bad}); err == nil {
			t.Errorf("entry %q is taken", bad)
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
	s := start(t, testenv.SlapdOptions{CertFile: cert, KeyFile: key})
	dn := app(t, s)
	for _, test := range []struct{ name, host, ca, refused string }{
		{"the right authority and host", "127.0.0.1", cert, ""},
		{"another authority", "127.0.0.1", other, "certificate"},
		{"the system's authorities", "127.0.0.1", "", "unknown authority"},
		{"a host that the certificate isn't for", "localhost", cert, "localhost"},
	} {
		for how, url := range map[string]string{"ldaps": s.URLS, "StartTLS": s.URL} {
			t.Run(test.name+", "+how, func(t *testing.T) {
				cfg := admin(s)
				cfg.Plain, cfg.URL, cfg.Certificates.CA = false, strings.Replace(url, "127.0.0.1", test.host, 1), test.ca
				i := issuerOf(t, connect(t, cfg), EntryConfig{DN: dn})
				if test.refused == "" {
					rotate(t, i)
					return
				}
				wantError(t, set(t, t.Context(), i), rota.ClassStop, nil, test.refused, "tls_ca")
			})
		}
	}
	t.Run("a server without TLS", func(t *testing.T) {
		plain := start(t, testenv.SlapdOptions{})
		cfg := admin(plain)
		cfg.Plain = false
		wantError(t, set(t, t.Context(), issuerOf(t, connect(t, cfg), EntryConfig{DN: dn})), rota.ClassStop, nil, "StartTLS", "set up TLS at the server")
		cfg.URL = strings.Replace(plain.URL, "ldap://", "ldaps://", 1)
		if err := set(t, t.Context(), issuerOf(t, connect(t, cfg), EntryConfig{DN: dn})); err == nil || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("got %v", err)
		}
	})
}

// These answers take servers that are set up in many ways.
func TestAnswersHaveRemedies(t *testing.T) {
	c, err := New("directory", Config{URL: "ldaps://ldap.internal", BindDN: rotaDN, Password: adminPassword})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		code  uint16
		text  string
		class rota.Class
		words string
	}{
		{ldap.LDAPResultConfidentialityRequired, "TLS required", rota.ClassStop, "start_tls: true"},
		{ldap.LDAPResultStrongAuthRequired, "", rota.ClassStop, "start_tls: true"},
		{ldap.LDAPResultUnwillingToPerform, "operation restricted", rota.ClassWait, "server's log"},
		{ldap.LDAPResultUnwillingToPerform, "no such operation", rota.ClassStop, "server's log"},
		{ldap.LDAPResultBusy, "", rota.ClassWait, "server's log"},
		{ldap.LDAPResultConstraintViolation, "Password is too young to change", rota.ClassWait, "pwdMinAge"},
		{ldap.LDAPResultConstraintViolation, "Password policy only allows one password value", rota.ClassStop, "passwords: 1"},
		{ldap.LDAPResultConstraintViolation, "invalid password syntax - passwords with storage scheme are not allowed", rota.ClassStop, "leave out hash and passwords"},
		{ldap.LDAPResultInsufficientAccessRights, "Must supply old password to be changed as well as new one", rota.ClassStop, "pwdSafeModify: FALSE"},
		{ldap.LDAPResultConstraintViolation, "Password is in history of old passwords", rota.ClassRegenerate, "password policy"},
		{ldap.LDAPResultNoSuchObject, "password " + adminPassword, rota.ClassStop, "dn in rota.yaml"},
		{ldap.LDAPResultReferral, "", rota.ClassStop, "accepts changes"},
	} {
		err := c.failed(t.Context(), "set", ldap.NewError(test.code, errors.New(test.text)))
		wantError(t, err, test.class, nil, test.words)
	}
}
