package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/testenv"
)

// The exchange of RFC 7677, section 3.
func TestScramKeysAreThoseOfRFC7677(t *testing.T) {
	const (
		first   = "n=user,r=rOprNGfwEbeRWgbNEkqO"
		server  = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		final   = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		proof   = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		message = first + "," + server + "," + final
	)
	decode := base64.StdEncoding.DecodeString
	keys, err := scramKeys("pencil", must(decode("W22ZaJ0SNY7soEsUEjb6gQ==")), 4096)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key []byte) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(message))
		return mac.Sum(nil)
	}
	clientKey := must(decode(proof))
	for i, b := range sign(keys.StoredKey) {
		clientKey[i] ^= b
	}
	if got := sha256.Sum256(clientKey); !hmac.Equal(got[:], keys.StoredKey) {
		t.Error("the stored key does not fit the client's proof")
	}
	if got := base64.StdEncoding.EncodeToString(sign(keys.ServerKey)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server's signature is %s", got)
	}
}

func TestVerifiersHaveTheServersFormAndASaltOfTheirOwn(t *testing.T) {
	form := regexp.MustCompile(`^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$`)
	a, b := must(verifier("secret-1")), must(verifier("secret-1"))
	if !form.MatchString(a) {
		t.Errorf("a verifier is %q", a)
	}
	if a == b {
		t.Error("two verifiers are the same")
	}
}

// The server recognises a verifier by parsing it; what it can't parse it would
// take for a clear password.
func TestTheServerKeepsTheVerifierAsItIs(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	hash := must(verifier("with a blank and ' quote"))
	s.Exec(t, "ALTER ROLE "+name+" PASSWORD '"+hash+"'")
	rows, err := ask(t.Context(), superuser(t, s), "read", pgx.RowTo[string], "SELECT rolpassword FROM pg_authid WHERE rolname = $1", name)
	if err != nil || rows[0] != hash {
		t.Errorf("the server keeps another text (%v)", err)
	}
}

// A verifier of the server's own making has the same keys as ours.
func TestTheServersOwnVerifierIsTheSame(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	s.Exec(t, "ALTER ROLE "+name+" PASSWORD 'pencil'")
	wantSameKeys(t, s, name, "pencil")
}

// wantSameKeys compares what the server keeps of a role's password with what
// Rota makes of it with the same salt.
func wantSameKeys(t *testing.T, s *testenv.PostgresServer, role, password string) {
	t.Helper()
	rows, err := ask(t.Context(), superuser(t, s), "read", pgx.RowTo[string], "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`^SCRAM-SHA-256\$4096:(.*)\$(.*):(.*)$`).FindStringSubmatch(rows[0])
	if parts == nil {
		t.Fatalf("the server's form is %q", rows[0])
	}
	decode := base64.StdEncoding.DecodeString
	keys, err := scramKeys(password, must(decode(parts[1])), 4096)
	if err != nil || !hmac.Equal(keys.StoredKey, must(decode(parts[2]))) || !hmac.Equal(keys.ServerKey, must(decode(parts[3]))) {
		t.Errorf("the keys differ (%v)", err)
	}
}

func BenchmarkVerifier(b *testing.B) {
	for b.Loop() {
		must(verifier("0123456789abcdef0123456789abcdef"))
	}
}

// A role with an empty password lets nobody in, so setting one would lock everyone out.
func TestAnEmptyPasswordHasNoVerifier(t *testing.T) {
	if v, err := verifier(""); err == nil {
		t.Errorf("it's %s", v)
	}
}
