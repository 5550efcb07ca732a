package postgres

import (
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
