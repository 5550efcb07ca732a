package mysql

import (
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// A credential that was deleted doesn't come back when its account gets the next
// password, not even if somebody retained it.
func TestADeletedMySQLPasswordStaysDeleted(t *testing.T) {
	s := sharedMySQL.Get(t)
	a := must(connect(t, pairAdmin(t, s)).Alternating(AlternatingConfig{Users: [2]string{mysqlUser(t, s), mysqlUser(t, s)}})).(*alternating)
	first := rotate(t, a, a.all[1].user)
	s.Exec(t, "ALTER USER "+a.all[0].user+" IDENTIFIED BY 'of-the-dba-7Gq' RETAIN CURRENT PASSWORD")
	rotate(t, a, a.all[0].user)
	retire := rota.RetireRequest{CredentialID: a.all[0].user}
	if err := a.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	rotate(t, a, a.all[1].user)
	for _, password := range []string{first.Field(rota.FieldPassword), "of-the-dba-7Gq"} {
		if _, err := mysqlSession(t, s, testenv.With(first, rota.FieldPassword, password)); err == nil {
			t.Error("a deleted password logs in")
		}
	}
}

// An account with SYSTEM_USER is altered by its like alone, and the grants that Rota
// prints don't help.
func TestAMySQLAccountOfTheSystemSaysWhatHelps(t *testing.T) {
	s := sharedMySQL.Get(t)
	cfg := pairAdmin(t, s)
	name := mysqlUser(t, s)
	s.Exec(t, "GRANT SYSTEM_USER ON *.* TO "+name)
	p := must(connect(t, cfg).Password(PasswordConfig{User: name}))
	wantFinding(t, p.(rota.Preflighter), "may change account", false, "SYSTEM_USER")
	next := must(p.Create(t.Context(), rota.CreateRequest{}))
	wantError(t, p.Set(t.Context(), rota.SetRequest{Credential: next}), rota.ClassStop, nil, "GRANT SYSTEM_USER ON *.* TO '"+cfg.Username)
	s.Exec(t, "CREATE ROLE "+name+"_role", "GRANT SYSTEM_USER ON *.* TO "+name+"_role", "GRANT "+name+"_role TO "+cfg.Username, "SET DEFAULT ROLE ALL TO "+cfg.Username)
	p = must(connect(t, cfg).Password(PasswordConfig{User: name}))
	wantFinding(t, p.(rota.Preflighter), "may change account", true, "")
	rotate(t, p)
}

// To discard the older of two passwords is no way out if that one is Rota's.
func TestTheRemedyForTwoPasswordsKeepsRotas(t *testing.T) {
	s := sharedMySQL.Get(t)
	d := must(connect(t, dualAdmin(t, s)).Dual(PasswordConfig{User: mysqlUser(t, s)})).(*dual)
	rotate(t, d)
	s.Exec(t, "ALTER USER "+d.one.user+" IDENTIFIED BY 'of-the-dba-7Gq' RETAIN CURRENT PASSWORD")
	next := rota.SetRequest{Credential: must(d.Create(t.Context(), rota.CreateRequest{}))}
	wantError(t, d.Set(t.Context(), next), rota.ClassStop, rota.ErrLimit, "one that Rota knows, so keep that")
	wantFinding(t, d, "has a place for the next password", false, "two passwords")
	if text := d.makeRoom(*must(d.state(t.Context(), "look"))); !strings.Contains(text, "rota adopt") {
		t.Errorf("the remedy is %q", text)
	}
}

// caching_sha2_password takes the hash of any password, and no longer one in a login.
func TestAPasswordThatIsTooLongForMySQLIsNotSet(t *testing.T) {
	s := sharedMySQL.Get(t)
	c := connect(t, dualAdmin(t, s))
	for length, fits := range map[int]bool{longestSHA2: true, longestSHA2 + 1: false} {
		d := must(c.Dual(PasswordConfig{User: mysqlUser(t, s), Rules: rota.PasswordRules{Length: length}})).(*dual)
		wantFinding(t, d, "has a password to set", fits, "")
		if fits {
			rotate(t, d)
			continue
		}
		next := rota.SetRequest{Credential: must(d.Create(t.Context(), rota.CreateRequest{}))}
		wantError(t, d.Set(t.Context(), next), rota.ClassStop, nil, "length: 256")
	}
}

func TestWhatPassesByItselfIsNoReasonToStop(t *testing.T) {
	c := connect(t, Config{Host: "localhost", Username: "rota"})
	for _, n := range []uint16{codeClusterNotReady, codeShutdown, codeNetwork, codeNetworkLast, codeDeadlock, codeTooManyConnections} {
		wantError(t, c.failed("set", &driver.MySQLError{Number: n, Message: "said"}), rota.ClassWait, nil, "said")
	}
}

// What answers there may say nothing, or nothing that ends: connect_timeout is for the
// whole login.
func TestALoginThatHangsIsGivenUpInTime(t *testing.T) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = l.Close() })
	c := connect(t, Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Username: "rota", ConnectTimeout: 200 * time.Millisecond})
	before := time.Now()
	_, err := c.ask(t.Context(), "look", "SELECT 1")
	wantError(t, err, rota.ClassWait, nil, "a longer connect_timeout for connection app-db, which is 200ms")
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestALongAnswerIsCutShort(t *testing.T) {
	c := connect(t, Config{Host: "localhost", Username: "rota"})
	if text := c.failed("look", &driver.MySQLError{Number: codeAccessDenied, Message: strings.Repeat("x", 1<<16)}).Error(); len(text) > 5000 {
		t.Errorf("it has %d characters", len(text))
	}
}

// The places of sessions are hosts, without their ports, at IPv6 too.
func TestSessionsOverIPv6AreShownWithTheirHost(t *testing.T) {
	c := admin(t, shared.Get(t))
	for host, want := range map[string]string{"10.0.0.1:5012": "10.0.0.1", "2001:db8::5:5012": "2001:db8::5", "localhost": "localhost", "": ""} {
		if found := must(c.ask(t.Context(), "look", "SELECT "+withoutPort(literal(host))+" AS place")); found[0]["place"] != want {
			t.Errorf("%s is shown as %s", host, found[0]["place"])
		}
	}
}

// A new password of an account with two factors couldn't be tested, and the server's
// refusal says nothing of the second.
func TestAMySQLAccountWithTwoFactorsIsLeftAlone(t *testing.T) {
	s := testenv.MySQL(t, testenv.MySQLOptions{Args: []string{"--plugin-load-add=auth_socket.so", "--authentication-policy=*,,"}})
	c := connect(t, dualAdmin(t, s))
	s.Exec(t, "CREATE USER two IDENTIFIED BY 'of-the-dba-7Gq' AND IDENTIFIED WITH auth_socket AS 'nobody'")
	d := must(c.Dual(PasswordConfig{User: "two"})).(*dual)
	wantFinding(t, d, "has a password to set", false, "a second factor")
	wantError(t, d.Set(t.Context(), rota.SetRequest{Credential: must(d.Create(t.Context(), rota.CreateRequest{}))}), rota.ClassStop, nil, "second factor", "DROP 2 FACTOR")
	if now := must(d.state(t.Context(), "look")); now.second != "" {
		t.Error("it has another password now")
	}
}

// Whoever runs what Rota prints has a session of their own, in which a backslash in a
// text may begin an escape.
func TestNamesWithBackslashesMeanTheSameToPeople(t *testing.T) {
	s := testenv.MySQL(t, testenv.MySQLOptions{})
	cfg := dualAdmin(t, s)
	s.Exec(t, "RENAME USER "+cfg.Username+" TO `CORP\\rota`", "REVOKE CREATE USER, PROCESS ON *.* FROM `CORP\\rota`", "CREATE USER `CORP\\bob`")
	cfg.Username = `CORP\rota`
	d := must(connect(t, cfg).Dual(PasswordConfig{User: `CORP\bob`})).(*dual)
	for _, p := range d.Permissions() {
		s.Exec(t, strings.TrimSuffix(p.Detail.(string), ";"))
	}
	rotate(t, d)
	rotate(t, d)
	s.Exec(t, d.unlock(), d.makeRoom(*must(d.state(t.Context(), "look"))))
}

// Somebody's lock stays. Without a password, it's how an account waits for its first.
func TestASingleAccountThatSomebodyLockedStaysLocked(t *testing.T) {
	for product, p := range map[string]rota.Issuer{
		"MySQL":   must(connect(t, pairAdmin(t, sharedMySQL.Get(t))).Password(PasswordConfig{User: mysqlUser(t, sharedMySQL.Get(t))})),
		"MariaDB": must(admin(t, shared.Get(t)).Password(PasswordConfig{User: user(t, shared.Get(t), pluginEd25519)})),
	} {
		t.Run(product, func(t *testing.T) {
			made := rotate(t, p)
			lock := "ALTER USER " + made.Field(rota.FieldUsername) + " ACCOUNT LOCK"
			if product == "MySQL" {
				sharedMySQL.Get(t).Exec(t, lock)
			} else {
				shared.Get(t).Exec(t, lock)
			}
			wantFinding(t, p, "isn't locked", false, "nobody can log in")
			next := rota.SetRequest{Credential: must(p.Create(t.Context(), rota.CreateRequest{}))}
			wantError(t, p.Set(t.Context(), next), rota.ClassStop, nil, "is locked", "ACCOUNT UNLOCK")
		})
	}
}

// The server refuses the right password if another account takes the login. That's no
// reason to replace it, which would cut off consumers elsewhere for nothing.
func TestAnotherAccountsRefusalIsNotThePasswords(t *testing.T) {
	s := sharedMySQL.Get(t)
	d := must(connect(t, dualAdmin(t, s)).Dual(PasswordConfig{User: mysqlUser(t, s)})).(*dual)
	made := rotate(t, d)
	s.Exec(t, "CREATE USER "+d.one.user+"@'127.0.0.1' IDENTIFIED BY 'of-the-dba-7Gq'")
	wantError(t, d.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "another account takes logins", "DROP USER")
	wantError(t, d.Test(t.Context(), rota.TestRequest{Credential: testenv.With(made, rota.FieldPassword, "wrong-one")}), rota.ClassWait, rota.ErrRefused, "Access denied")
}

// The account of a pair gets a new password again only after the one before was deleted,
// which leaves none that could be locked by anyone but Rota.
func TestAnAccountOfAPairThatSomebodyLockedStaysLocked(t *testing.T) {
	s := shared.Get(t)
	p := must(admin(t, s).Alternating(pair(t, s)))
	made := rotate(t, p)
	s.Exec(t, "ALTER USER "+made.Field(rota.FieldUsername)+" ACCOUNT LOCK")
	again := rota.SetRequest{Credential: made}
	wantError(t, p.Set(t.Context(), again), rota.ClassStop, nil, "is locked", "ACCOUNT UNLOCK")
	s.Exec(t, "ALTER USER "+made.Field(rota.FieldUsername)+" ACCOUNT UNLOCK")
	for range 2 {
		if err := p.Set(t.Context(), again); err != nil {
			t.Error(err)
		}
	}
}
