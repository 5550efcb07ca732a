package mysql

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/providertest"
)

// sharedMySQL logs every statement, and no test may leave a password in its logs.
var sharedMySQL testenv.SharedMySQL

// mysqlAdmin is Rota's own account with what the permissions of an issuer grant.
func mysqlAdmin(t testing.TB, s *testenv.MySQLServer, of func(*Connection) (rota.Issuer, error)) Config {
	t.Helper()
	cfg := Config{Host: s.Host, Port: s.Port, Username: unique("admin"), Password: adminPassword, SSLMode: sslVerifyCA, SSLCA: s.CAFile, ConnectTimeout: 2 * time.Second}
	s.Exec(t, "CREATE USER "+cfg.Username+" IDENTIFIED WITH caching_sha2_password AS 0x"+hex.EncodeToString([]byte(must(stored(pluginSHA2, cfg.Username, adminPassword)))))
	c := must(New("app-db", cfg))
	defer c.Close()
	for _, p := range must(of(c)).(provider.Permitter).Permissions() {
		s.Exec(t, strings.TrimSuffix(p.Detail.(string), ";"))
	}
	return cfg
}

func dualAdmin(t testing.TB, s *testenv.MySQLServer) Config {
	return mysqlAdmin(t, s, func(c *Connection) (rota.Issuer, error) { return c.Dual(PasswordConfig{User: "x"}) })
}

// mysqlUser makes an account without a password.
func mysqlUser(t testing.TB, s *testenv.MySQLServer) string {
	t.Helper()
	name := unique("app")
	s.Exec(t, "CREATE USER "+name+" IDENTIFIED WITH caching_sha2_password ACCOUNT LOCK")
	return name
}

// mysqlSession logs in over TLS as a consumer would, with the driver alone.
func mysqlSession(t testing.TB, s *testenv.MySQLServer, c rota.Credential) (*sql.Conn, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(s.CAFile)))
	cfg := driver.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Logger = c.Field(rota.FieldUsername), c.Field(rota.FieldPassword), "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), &driver.NopLogger{}
	cfg.TLS = &tls.Config{RootCAs: roots, InsecureSkipVerify: true} // its own name isn't in it
	db := sql.OpenDB(must(driver.NewConnector(cfg)))
	t.Cleanup(func() { _ = db.Close() })
	return db.Conn(t.Context())
}

func TestDualPasswordKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		s := sharedMySQL.Get(t)
		cfg := dualAdmin(t, s)
		cfg.SSLMode, cfg.SSLCA = "", ""
		c, p := throughSocket(t, s, cfg)
		return providertest.IssuerFixture{
			Issuer: must(c.Dual(PasswordConfig{User: mysqlUser(t, s)})), Inject: p.inject,
			PublicFields: []string{FieldHost, FieldPort, rota.FieldUsername}, UnknownID: "nobody:00000000",
			Use: func(t *testing.T, c rota.Credential) { must(mysqlSession(t, s, c)) },
		}
	})
}

func TestMySQLPasswordKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		s := sharedMySQL.Get(t)
		cfg := mysqlAdmin(t, s, func(c *Connection) (rota.Issuer, error) { return c.Password(PasswordConfig{User: "x"}) })
		cfg.SSLMode, cfg.SSLCA = "", ""
		c, p := throughSocket(t, s, cfg)
		return providertest.IssuerFixture{
			Issuer: must(c.Password(PasswordConfig{User: mysqlUser(t, s)})), Inject: p.inject,
			PublicFields: []string{FieldHost, FieldPort}, UnknownID: "nobody_here",
			Use: func(t *testing.T, c rota.Credential) { must(mysqlSession(t, s, c)) },
		}
	})
}

func TestMySQLAlternatingKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		s := sharedMySQL.Get(t)
		cfg := pairAdmin(t, s)
		cfg.SSLMode, cfg.SSLCA = "", ""
		c, p := throughSocket(t, s, cfg)
		return providertest.IssuerFixture{
			Issuer: must(c.Alternating(AlternatingConfig{Users: [2]string{mysqlUser(t, s), mysqlUser(t, s)}})), Inject: p.inject,
			PublicFields: []string{FieldHost, FieldPort}, UnknownID: "nobody_here",
			Use: func(t *testing.T, c rota.Credential) { must(mysqlSession(t, s, c)) },
		}
	})
}

func pairAdmin(t testing.TB, s *testenv.MySQLServer) Config {
	return mysqlAdmin(t, s, func(c *Connection) (rota.Issuer, error) {
		return c.Alternating(AlternatingConfig{Users: [2]string{"x", "y"}})
	})
}

// What logs in after each step of a rotation, over TLS and with the driver alone.
func TestBothMySQLPasswordsLogInUntilTheOldOneIsDeleted(t *testing.T) {
	for _, sent := range []bool{false, true} {
		t.Run(map[bool]string{false: "hashes are sent", true: "passwords are sent"}[sent], func(t *testing.T) {
			s := testenv.MySQL(t, testenv.MySQLOptions{})
			cfg := dualAdmin(t, s)
			cfg.SendPasswords = sent
			d := must(connect(t, cfg).Dual(PasswordConfig{User: mysqlUser(t, s)})).(*dual)
			expect := func(step string, works []rota.Credential, refused ...rota.Credential) {
				t.Helper()
				for _, c := range works {
					if _, err := mysqlSession(t, s, c); err != nil {
						t.Errorf("%s: %s doesn't log in: %v", step, d.CredentialID(c), err)
					}
				}
				for _, c := range refused {
					if _, err := mysqlSession(t, s, c); err == nil {
						t.Errorf("%s: %s logs in", step, d.CredentialID(c))
					}
				}
				issued, err := d.List(t.Context())
				if err != nil || len(issued) != len(works) {
					t.Errorf("%s: the list is %+v (%v), want %d", step, issued, err, len(works))
				}
				for _, c := range works {
					if !listed(issued, d.CredentialID(c)) {
						t.Errorf("%s: %s isn't in %+v", step, d.CredentialID(c), issued)
					}
					if in, known, err := d.InForce(t.Context(), c); !in || !known || err != nil {
						t.Errorf("%s: in force %t, known %t, %v", step, in, known, err)
					}
				}
			}
			set := func(c rota.Credential) error { return d.Set(t.Context(), rota.SetRequest{Credential: c}) }
			remove := func(c rota.Credential) {
				t.Helper()
				if err := d.Delete(t.Context(), rota.RetireRequest{CredentialID: d.CredentialID(c)}); err != nil {
					t.Fatal(err)
				}
			}
			first := rotate(t, d)
			expect("after the first", []rota.Credential{first})
			second := must(d.Create(t.Context(), rota.CreateRequest{}))
			expect("after create", []rota.Credential{first}, second)
			if err := set(second); err != nil {
				t.Fatal(err)
			}
			expect("after set", []rota.Credential{first, second})
			for range 2 { // the second time, nothing is left to do
				if err := set(second); err != nil {
					t.Fatal(err)
				}
			}
			s.Restart(t)
			expect("after set and a restart", []rota.Credential{first, second})
			third := must(d.Create(t.Context(), rota.CreateRequest{}))
			wantError(t, set(third), rota.ClassStop, rota.ErrLimit, "two passwords", "DISCARD OLD PASSWORD")
			expect("after a third was refused", []rota.Credential{first, second}, third)
			remove(first)
			expect("after the old one was deleted", []rota.Credential{second}, first)
			if err := set(third); err != nil {
				t.Fatal(err)
			}
			remove(third) // rolled back: the newer one goes, and the older one takes its place
			expect("after the new one was deleted", []rota.Credential{second}, first, third)
			remove(second)
			expect("after the last one was deleted", nil, first, second, third)
			fourth := rotate(t, d)
			expect("after another first", []rota.Credential{fourth}, first, second, third)
			logs := s.Logs(t)
			for _, c := range []rota.Credential{first, second, third, fourth} {
				if bytes.Contains(logs, []byte(c.Field(rota.FieldPassword))) {
					t.Error("a password is in the server's logs")
				}
			}
			if !bytes.Contains(logs, []byte("RETAIN CURRENT PASSWORD")) {
				t.Error("the logs show nothing")
			}
		})
	}
}

func listed(issued []rota.Issued, id string) bool {
	for _, i := range issued {
		if i.ID == id && i.Active {
			return true
		}
	}
	return false
}

// A person's password has no name at the server. Once Rota has seen it, it does.
func TestAMySQLPasswordThatIsAdoptedKeepsItsPlace(t *testing.T) {
	s := sharedMySQL.Get(t)
	c := connect(t, dualAdmin(t, s))
	name := unique("app")
	s.Exec(t, "CREATE USER "+name+" IDENTIFIED BY 'by-hand-5Tq'")
	d := must(c.Dual(PasswordConfig{User: name})).(*dual)
	unknown := must(d.List(t.Context()))
	if len(unknown) != 1 || !strings.HasPrefix(unknown[0].ID, name+":unknown-") {
		t.Errorf("before: %+v", unknown)
	}
	given := d.Complete(rota.NewCredential(map[string]string{rota.FieldPassword: "by-hand-5Tq"}))
	id := d.CredentialID(given)
	if issued := must(d.List(t.Context())); len(issued) != 1 || issued[0].ID != id {
		t.Errorf("the list is %+v, want %s", issued, id)
	}
	if err := d.Test(t.Context(), rota.TestRequest{Credential: given}); err != nil {
		t.Error(err)
	}
	next := rotate(t, d)
	if err := d.Delete(t.Context(), rota.RetireRequest{CredentialID: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := mysqlSession(t, s, given); err == nil {
		t.Error("it still logs in")
	}
	if issued := must(d.List(t.Context())); len(issued) != 1 || issued[0].ID != d.CredentialID(next) {
		t.Errorf("afterwards: %+v", issued)
	}
}

func TestALockedAccountGetsNoNewPassword(t *testing.T) {
	s := sharedMySQL.Get(t)
	d := must(connect(t, dualAdmin(t, s)).Dual(PasswordConfig{User: mysqlUser(t, s)})).(*dual)
	made := rotate(t, d)
	s.Exec(t, "ALTER USER "+d.one.user+" ACCOUNT LOCK")
	wantError(t, d.Set(t.Context(), rota.SetRequest{Credential: must(d.Create(t.Context(), rota.CreateRequest{}))}), rota.ClassStop, nil, "locked", "ACCOUNT UNLOCK")
	wantError(t, d.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassWait, rota.ErrRefused, "locked")
	if issued := must(d.List(t.Context())); len(issued) != 1 || issued[0].Active || !strings.Contains(issued[0].Unlock, "ACCOUNT UNLOCK") {
		t.Errorf("the list is %+v", issued)
	}
	wantFinding(t, d, "has a place for the next password", false, "locked")
}

func TestMariaDBHasNoSecondPassword(t *testing.T) {
	s := shared.Get(t)
	d := must(admin(t, s).Dual(PasswordConfig{User: user(t, s, pluginNative)})).(*dual)
	next := must(d.Create(t.Context(), rota.CreateRequest{}))
	wantError(t, d.Set(t.Context(), rota.SetRequest{Credential: next}), rota.ClassStop, nil, "MariaDB", "try: mysql_password, or mysql_alternating")
	_, err := d.List(t.Context())
	wantError(t, err, rota.ClassStop, nil, "MariaDB", "try: mysql_password, or mysql_alternating")
	wantFinding(t, d, "has a place for the next password", false, "MariaDB")
}

// Without TLS, the first login with a new password would send it to whoever answers.
func TestMySQLWithoutTLSIsRefusedBeforeAnythingIsSet(t *testing.T) {
	s := sharedMySQL.Get(t)
	cfg := dualAdmin(t, s)
	// Its own login is proven by a hash that the server keeps since this one.
	if err := connect(t, cfg).db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.SSLMode, cfg.SSLCA = sslDisabled, ""
	d := must(connect(t, cfg).Dual(PasswordConfig{User: mysqlUser(t, s)}))
	wantFinding(t, d, "can be tested from here", false, "over TLS or a Unix socket alone")
}

// What the server's policies say about passwords, and about logins that fail.
func TestMySQLsPoliciesAreKept(t *testing.T) {
	s := testenv.MySQL(t, testenv.MySQLOptions{})
	cfg := dualAdmin(t, s)
	d := must(connect(t, cfg).Dual(PasswordConfig{User: mysqlUser(t, s)})).(*dual)
	s.Exec(t, "INSTALL COMPONENT 'file://component_validate_password'")
	name := d.one.user
	wantFinding(t, d, "needs its newer password", false, "whoever has the previous one can replace the new one")
	s.Exec(t, "SET GLOBAL password_require_current = ON")
	wantFinding(t, d, "needs its newer password", true, "")
	s.Exec(t, "ALTER USER "+name+" PASSWORD REQUIRE CURRENT OPTIONAL")
	wantFinding(t, d, "needs its newer password", false, "whoever has the previous one")
	s.Exec(t, "SET GLOBAL password_require_current = OFF", "ALTER USER "+name+" PASSWORD HISTORY 5 PASSWORD REUSE INTERVAL 30 DAY PASSWORD REQUIRE CURRENT FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1")
	wantFinding(t, d, "needs its newer password", true, "")
	weak := d.Complete(rota.NewCredential(map[string]string{rota.FieldPassword: "weak"}))
	cfg.SendPasswords = true
	sends := must(connect(t, cfg).Dual(PasswordConfig{User: name})).(*dual)
	wantError(t, sends.Set(t.Context(), rota.SetRequest{Credential: weak}), rota.ClassRegenerate, nil, "policy")
	first := rotate(t, d)
	second := rotate(t, d)
	if err := d.Delete(t.Context(), rota.RetireRequest{CredentialID: d.CredentialID(second)}); err != nil { // the first one's hash is set again
		t.Fatal(err)
	}
	wantFinding(t, d, "asks account", true, "not tried: its FAILED_LOGIN_ATTEMPTS")
	if _, err := mysqlSession(t, s, first); err != nil {
		t.Errorf("after the check: %v", err)
	}
	if _, err := mysqlSession(t, s, second); err == nil {
		t.Error("the newer one still logs in")
	}
	wantError(t, d.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassWait, nil, "blocked", "ACCOUNT UNLOCK")
	s.Exec(t, "ALTER USER "+name+" ACCOUNT UNLOCK")
	if err := d.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
		t.Error(err)
	}
	wantError(t, must(connect(t, Config{Host: cfg.Host, Port: cfg.Port, Username: name, Password: first.Field(rota.FieldPassword), SSLMode: cfg.SSLMode, SSLCA: cfg.SSLCA}).Dual(PasswordConfig{User: "other"})).
		Set(t.Context(), rota.SetRequest{Credential: d.Complete(rota.NewCredential(map[string]string{rota.FieldUsername: "other", rota.FieldPassword: "x"}))}), rota.ClassStop, nil, "rota policy mysql")
}
