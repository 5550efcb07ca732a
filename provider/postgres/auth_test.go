package postgres

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// logins are all calls that log in: as Rota's own role, with a rotated password,
// and as a role that changes its own.
func logins(t *testing.T, cfg Config) map[string]error {
	t.Helper()
	c := connect(t, cfg)
	i := must(c.Password(PasswordConfig{Role: "app"}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	own := must(Own("app-db", cfg, OwnConfig{Role: "app", Known: func(context.Context) ([]rota.Credential, error) { return []rota.Credential{made}, nil }}))
	return map[string]error{
		"Rota's own role": c.Ping(t.Context()),
		"set":             i.Set(t.Context(), rota.SetRequest{Credential: made}),
		"test":            i.Test(t.Context(), rota.TestRequest{Credential: made}),
		"check":           c.Query("one", "SELECT 1").Check(t.Context(), made),
		"the role itself": own.Set(t.Context(), rota.SetRequest{Credential: made}),
	}
}

func TestAnImpostorThatAsksForTheCleartextPasswordGetsNone(t *testing.T) {
	cleartext, md5 := &pgproto3.AuthenticationCleartextPassword{}, &pgproto3.AuthenticationMD5Password{}
	for _, test := range []struct {
		name, requireAuth string
		ask               pgproto3.BackendMessage
		gets              bool
		says              string
	}{
		{"cleartext by default", "", cleartext, false, "in cleartext"},
		{"cleartext where only SCRAM is allowed", "scram-sha-256", cleartext, false, "in cleartext"},
		{"md5 where only SCRAM is allowed", "scram-sha-256", md5, false, "md5"},
		{"cleartext if it is allowed", "password", cleartext, true, ""},
		{"cleartext if only others are excluded", "!md5", cleartext, true, ""},
		{"md5 by default", "", md5, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, got := testenv.PostgresImpostor(t, "tcp", "127.0.0.1:0", test.ask)
			cfg := Config{Host: "127.0.0.1", Port: addr.(*net.TCPAddr).Port, Username: "rota", Password: adminPassword, RequireAuth: test.requireAuth}
			for name, err := range logins(t, cfg) {
				if test.gets {
					continue
				}
				wantError(t, err, rota.ClassStop, nil, test.says, "require_auth", "connection app-db", "try: scram-sha-256")
				if strings.Contains(err.Error(), "failed to connect") {
					t.Errorf("%s: it is pgx's text: %v", name, err)
				}
			}
			if n := got.Load(); (n > 0) != test.gets {
				t.Errorf("it got %d answers", n)
			}
		})
	}
}

func TestOverASocketThePasswordMayBeSentInCleartext(t *testing.T) {
	dir := t.TempDir()
	_, got := testenv.PostgresImpostor(t, "unix", filepath.Join(dir, ".s.PGSQL.5432"), &pgproto3.AuthenticationCleartextPassword{})
	logins(t, Config{Host: dir, Username: "rota", Password: adminPassword})
	if got.Load() == 0 {
		t.Error("no password was sent")
	}
}

// Whether the server's certificate is verified decides by default whether it may
// ask for the password in cleartext.
func TestAServerMayAskForCleartextOnlyIfItsCertificateIsVerified(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.server(t)
	s := testenv.Postgres(t, testenv.PostgresOptions{CertFile: cert, KeyFile: key, HBA: []string{"host all rota 127.0.0.1/32 password"}})
	s.Exec(t, "CREATE ROLE rota LOGIN CREATEROLE PASSWORD '"+must(verifier(adminPassword))+"'")
	for _, test := range []struct {
		name, mode, ca, requireAuth string
		ok                          bool
	}{
		{"verify-full", "verify-full", ca.file, "", true},
		{"verify-ca", "verify-ca", ca.file, "", true},
		{"require with an authority is verify-ca", "require", ca.file, "", true},
		{"require", "require", "", "", false},
		{"disable", "disable", "", "", false},
		{"disable, and cleartext allowed", "disable", "", "password", true},
		{"disable, and cleartext allowed among others", "disable", "", "password, scram-sha-256", true},
		{"verify-full, and cleartext excluded", "verify-full", ca.file, "!password", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			createRole(t, s, unique("app"), "")
			c := connect(t, Config{Host: "127.0.0.1", Port: s.Port, Username: "rota", Password: adminPassword, SSLMode: test.mode, SSLRootCert: test.ca, RequireAuth: test.requireAuth})
			err := c.Ping(t.Context())
			if test.ok && err != nil {
				t.Fatal(err)
			}
			if !test.ok {
				wantError(t, err, rota.ClassStop, nil, "in cleartext", "require_auth: password", "sslmode: verify-full")
			}
		})
	}
}

func TestATestStillNeedsAPasswordWhateverIsAllowed(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{HBA: []string{"host all trusted 127.0.0.1/32 trust"}})
	createRole(t, s, "trusted", "LOGIN")
	i := must(connect(t, Config{Host: s.Host, Port: s.Port, Username: s.Superuser(), RequireAuth: "none,scram-sha-256"}).Password(PasswordConfig{Role: "trusted"}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "without asking for its password")
	strict := connect(t, Config{Host: s.Host, Port: s.Port, Username: s.Superuser(), RequireAuth: "scram-sha-256"})
	wantError(t, strict.Ping(t.Context()), rota.ClassStop, nil, "require_auth with none")
}

func TestRequireAuthIsReadAsPgxReadsIt(t *testing.T) {
	for _, text := range []string{"", "password", "md5,scram-sha-256", " md5 , none", "!password", "!password,!md5", "!none", "password,!md5", "!md5,password", "md5,md5", "!md5,!md5", "ldap", "md5,", ",", "!", "MD5", "oauth,gss,sspi"} {
		allowed, err := allowedMethods(text)
		_, theirs := pgconn.ParseConfig("host=h user=u sslmode=disable require_auth='" + text + "'")
		if (err == nil) != (theirs == nil) {
			t.Errorf("%q: %v, and pgx: %v", text, err, theirs)
		}
		if err == nil && text != "" && slices.Contains(allowed, "md5") != (strings.Contains(text, "md5") != strings.Contains(text, "!")) {
			t.Errorf("%q allows %v", text, allowed)
		}
	}
	for _, text := range []string{"none", "gss,oauth", "!password,!md5,!scram-sha-256"} {
		_, err := New("app-db", Config{Host: "h", Username: "u", RequireAuth: text})
		if err == nil || !strings.Contains(err.Error(), "no method allowed asks for a password") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
