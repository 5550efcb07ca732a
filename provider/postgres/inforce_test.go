package postgres

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestInForceIsToldWithoutALogin(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	issuer := func(c *Connection) rota.Teller {
		i, err := c.Password(PasswordConfig{Role: name})
		if err != nil {
			t.Fatal(err)
		}
		return i.(rota.Teller)
	}
	bySuperuser, byAdmin := issuer(superuser(t, s)), issuer(admin(t, s))
	current := rotate(t, bySuperuser.(rota.Issuer))
	check := func(what string, teller rota.Teller, c rota.Credential, inForce, known bool) {
		t.Helper()
		gotForce, gotKnown, err := teller.InForce(t.Context(), c)
		if err != nil || gotForce != inForce || gotKnown != known {
			t.Errorf("%s: in force %t, known %t, %v; want %t, %t", what, gotForce, gotKnown, err, inForce, known)
		}
	}
	check("the password that was set", bySuperuser, current, true, true)
	check("another password", bySuperuser, testenv.With(current, rota.FieldPassword, "something else"), false, true)
	check("who may not read pg_authid", byAdmin, current, false, false)
	s.Exec(t, "ALTER ROLE "+quote(name)+" PASSWORD 'set by somebody else'")
	check("after somebody changed it", bySuperuser, current, false, true)
	check("and what the server made of it", bySuperuser, testenv.With(current, rota.FieldPassword, "set by somebody else"), true, true)
	s.Exec(t, "SET password_encryption = md5; ALTER ROLE "+quote(name)+" PASSWORD 'old style'")
	check("an MD5 hash", bySuperuser, current, false, false)
	s.Exec(t, "ALTER ROLE "+quote(name)+" PASSWORD NULL")
	check("no password at all", bySuperuser, current, false, false)
}

func TestInForceSaysNothingOfWhatItCantSee(t *testing.T) {
	s := shared.Get(t)
	name, other := role(t, s), role(t, s)
	i := must(superuser(t, s).Password(PasswordConfig{Role: name}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	ask := func(i rota.Issuer, c rota.Credential) error {
		t.Helper()
		inForce, known, err := i.(rota.Teller).InForce(t.Context(), c)
		if inForce || known {
			t.Errorf("in force %t, known %t", inForce, known)
		}
		return err
	}
	wantError(t, ask(i, testenv.With(made, rota.FieldUsername, other)), rota.ClassStop, nil, "look which password role "+other+" has", "isn't one of this secret's")
	s.Exec(t, "DROP ROLE "+name)
	if err := ask(i, made); err != nil {
		t.Errorf("a role that's gone: %v", err)
	}
	down := must(connect(t, Config{Host: "127.0.0.1", Port: testenv.FreePort(t), Username: "rota"}).Password(PasswordConfig{Role: name}))
	wantError(t, ask(down, made), rota.ClassWait, nil, "look which password role "+name+" has", "connection refused")
}

// A server that denies it is asked only once: a grant counts after a restart.
func TestADeniedLookAtPasswordsIsRemembered(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	cfg := PasswordConfig{Role: role(t, s)}
	i := must(c.Password(cfg))
	made := rotate(t, i)
	known := func(i rota.Issuer) bool {
		t.Helper()
		inForce, known, err := i.(rota.Teller).InForce(t.Context(), made)
		if err != nil || inForce != known {
			t.Errorf("in force %t, known %t, %v", inForce, known, err)
		}
		return known
	}
	wantList(t, must(connect(t, c.cfg).Password(cfg)), []rota.Issued{{ID: cfg.Role, Active: true}}) // the first look falls back on what all may see
	if known(i) {
		t.Error("without the right to look, it's known")
	}
	s.Exec(t, "GRANT SELECT ON pg_authid TO "+quote(c.cfg.Username))
	if known(i) {
		t.Error("it looked again")
	}
	if !known(must(connect(t, c.cfg).Password(cfg))) {
		t.Error("a new connection may look, and doesn't")
	}
}

// Only the lack of that one right is a denial.
func TestOtherErrorsOfALookAtPasswordsAreReported(t *testing.T) {
	s := shared.Get(t)
	c := superuser(t, s)
	for _, test := range []struct{ query, words string }{{"SELEC 1", "syntax error"}, {"SELECT 1/0", "division by zero"}} {
		rows, _, err := c.authid(t.Context(), "look", test.query)
		wantError(t, err, rota.ClassStop, nil, test.words)
		if len(rows) > 0 || c.noAuthid.Load() {
			t.Errorf("%s: rows %v, denied %t", test.query, rows, c.noAuthid.Load())
		}
	}

	// The server's code is the same if Rota's role may not even connect.
	low, database := admin(t, s), unique("db")
	s.Exec(t, "CREATE DATABASE "+database, "REVOKE CONNECT ON DATABASE "+database+" FROM public", "GRANT SELECT ON pg_authid TO "+quote(low.cfg.Username))
	cfg := low.cfg
	cfg.Database = database
	outside := connect(t, cfg)
	i := must(outside.Password(PasswordConfig{Role: role(t, s)}))
	_, _, err := i.(rota.Teller).InForce(t.Context(), must(i.Create(t.Context(), rota.CreateRequest{})))
	wantError(t, err, rota.ClassStop, nil, "permission denied for database")
}

func TestAVerifierAndItsPasswordAreComparedOnce(t *testing.T) {
	c := connect(t, Config{Host: "127.0.0.1", Port: 1, Username: "rota"})
	good := must(verifier("secret"))
	check := func(what, verifier, password string, wantSame, wantKnown bool) {
		t.Helper()
		if same, known := c.matches("app", verifier, password); same != wantSame || known != wantKnown {
			t.Errorf("%s: same %t, known %t", what, same, known)
		}
	}
	remembered := func() any { pair, _ := c.pairs.Load("app"); return pair }
	check("another password", good, "other", false, true)
	if remembered() != nil {
		t.Error("what doesn't match is remembered")
	}
	check("the password", good, "secret", true, true)
	if remembered() != pairOf(good, "secret") {
		t.Error("what matches isn't remembered")
	}
	check("another password afterwards", good, "other", false, true)
	// Keys derived from these would never match.
	c.pairs.Store("app", pairOf("set by Rota", "secret"))
	check("what Rota itself has set", "set by Rota", "secret", true, true)
	check("another verifier", "set by somebody", "secret", false, false)
}

func TestOnlyAWholeScramVerifierIsCompared(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	of := func(password string, iterations int) (salt, stored, server string) {
		keys := must(scramKeys(password, []byte("0123456789abcdef"), max(iterations, 1)))
		return b64([]byte("0123456789abcdef")), b64(keys.StoredKey), b64(keys.ServerKey)
	}
	text := func(iterations any, salt, stored, server string) string {
		return fmt.Sprintf("SCRAM-SHA-256$%v:%s$%s:%s", iterations, salt, stored, server)
	}
	salt, stored, server := of("secret", 4096)
	_, otherStored, otherServer := of("other", 4096)
	good := text(4096, salt, stored, server)
	withIterations := func(n int) string {
		salt, stored, server := of("secret", n)
		return text(n, salt, stored, server)
	}
	unprepared := "a\u0007b" // SASLprep prohibits control characters: hashed as it is
	unpreparedSalt, unpreparedStored, unpreparedServer := of(unprepared, 4096)
	const password = "secret"
	for _, test := range []struct {
		name, verifier, password string
		same, known              bool
	}{
		{"the password's", good, password, true, true},
		{"another password's", good, "other", false, true},
		{"no password", good, "", false, false},
		{"a password that SASLprep refuses", text(4096, unpreparedSalt, unpreparedStored, unpreparedServer), unprepared, true, true},
		{"another one that SASLprep refuses", text(4096, unpreparedSalt, unpreparedStored, unpreparedServer), unprepared + "\u0007", false, true},
		{"another StoredKey", text(4096, salt, otherStored, server), password, false, true},
		{"another ServerKey", text(4096, salt, stored, otherServer), password, false, true},
		{"another salt", text(4096, b64([]byte("another salt")), stored, server), password, false, true},
		{"without the name of the method", strings.TrimPrefix(good, "SCRAM-SHA-256$"), password, false, false},
		{"an MD5 hash", "md5" + strings.Repeat("0", 32), password, false, false},
		{"nothing", "", password, false, false},
		{"a number of iterations that is none", text("many", salt, stored, server), password, false, false},
		{"no iterations", text(0, salt, stored, server), password, false, false},
		{"fewer than none", text(-1, salt, stored, server), password, false, false},
		{"one iteration", withIterations(1), password, true, true},
		{"as many as allowed", withIterations(maxIterations), password, true, true},
		{"one more than allowed", text(maxIterations+1, salt, stored, server), password, false, false},
		{"more than an int holds", text("99999999999999999999", salt, stored, server), password, false, false},
		{"a salt that isn't base64", text(4096, salt+"!", stored, server), password, false, false},
		{"a StoredKey that isn't base64", text(4096, salt, stored+"!", server), password, false, false},
		{"a ServerKey that isn't base64", text(4096, salt, stored, server+"!"), password, false, false},
		{"no salt", text(4096, "", stored, server), password, false, false},
		{"no StoredKey", text(4096, salt, "", server), password, false, false},
		{"no ServerKey", text(4096, salt, stored, ""), password, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if same, known := matches(test.verifier, test.password); same != test.same || known != test.known {
				t.Errorf("same %t, known %t; want %t, %t", same, known, test.same, test.known)
			}
		})
	}
}

func FuzzMatches(f *testing.F) {
	good := must(verifier("secret"))
	f.Add(good, "secret")
	f.Add("SCRAM-SHA-256$1:$:", "x")
	f.Fuzz(func(t *testing.T, text, password string) {
		if len(text) > 300 {
			return // more iterations than a test should do
		}
		same, known := matches(text, password)
		if same && !known {
			t.Error("in force, though not known")
		}
		if text == good && same != (prepare(password) == "secret") {
			t.Errorf("%q is taken for the password: %t", password, same)
		}
	})
}
