package ssh

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func passwordWith(t testing.TB, c *Connection, cfg PasswordConfig) *password {
	t.Helper()
	i, err := c.Password(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i.(*password)
}

// unixUser is the user of the tests' own hosts whose password is rotated.
const unixUser = "rotatest"

func TestThePasswordKeepsTheContract(t *testing.T) {
	s := testenv.SSHDWithUsers(t, testenv.SSHOptions{Gate: true}, unixUser)
	before := read(t, "/etc/shadow")
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		w := newWire(t, s.Addr)
		cfg := settings(s)
		cfg.Hosts, cfg.KnownHosts = []string{w.addr}, knownHost(w.addr, s)
		inject := injectAt(t, s, map[string][]string{"set": {"set password"}})
		return providertest.IssuerFixture{
			Issuer: passwordWith(t, connectWith(t, cfg), PasswordConfig{User: unixUser}),
			Inject: func(op string, kind providertest.FaultKind) bool {
				if op == "test" && kind == providertest.FailBefore {
					w.refuse()
					return true
				}
				return inject(op, kind)
			},
			UnknownID: "nobody-else", PublicFields: []string{rota.FieldUsername},
		}
	})
	if read(t, "/etc/shadow") != before {
		t.Fatal("the machine's own passwords were changed")
	}
}

func TestThePasswordBeforeCanBePutBack(t *testing.T) {
	s := testenv.SSHDWithUsers(t, testenv.SSHOptions{Gate: true}, unixUser)
	p := passwordWith(t, to(t, s), PasswordConfig{User: unixUser})
	set := func(c rota.Credential) {
		t.Helper()
		if err := p.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
			t.Fatal(err)
		}
		if err := p.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
			t.Fatal(err)
		}
		if inForce, known, err := p.InForce(t.Context(), c); !inForce || !known || err != nil {
			t.Errorf("in force %t, known %t: %v", inForce, known, err)
		}
	}
	first, err := p.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	set(first)
	set(second)
	if inForce, known, _ := p.InForce(t.Context(), first); inForce || !known {
		t.Errorf("the first one: in force %t, known %t", inForce, known)
	}
	set(first)
	for _, f := range p.Preflight(t.Context()) {
		if !f.OK {
			t.Errorf("preflight: %+v", f)
		}
	}
}

// sudo and chpasswd are stand-ins here: they write down what they get, and nobody's
// password is changed.
func TestOnlyAHashIsSentToSetAPassword(t *testing.T) {
	bin, seen := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	write(t, filepath.Join(bin, "sudo"), "#!/bin/sh\ncase $* in *getent*) exit 1 ;; esac\necho \"$*\" >>"+seen+"\ncat >>"+seen+"\nenv >>"+seen+"\n", 0o755)
	s := testenv.SSHD(t, testenv.SSHOptions{Path: bin})
	p := passwordWith(t, to(t, s), PasswordConfig{User: "backup", RunAs: "admin"})
	c, err := p.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	text := read(t, seen)
	lines := strings.Split(text, "\n")
	if lines[0] != "-n -u admin -- chpasswd -e" || !strings.HasPrefix(lines[1], "backup:$6$") {
		t.Errorf("sudo got %q", lines[:2])
	}
	if same, known := matches(strings.TrimPrefix(lines[1], "backup:"), c.Field(rota.FieldPassword)); !same || !known {
		t.Error("the hash isn't the password's")
	}
	if strings.Contains(text, c.Field(rota.FieldPassword)) {
		t.Error("the password itself was sent")
	}
	// This host takes no passwords, so nothing could be tested.
	wantError(t, p.Test(t.Context(), rota.TestRequest{Credential: c}), rota.ClassStop, "takes no passwords", "PasswordAuthentication yes")
	findings := p.Preflight(t.Context())
	if last := findings[len(findings)-1]; last.OK || len(last.Remedies) == 0 {
		t.Errorf("a preflight finds no fault with that: %+v", last)
	}
}

func TestPasswordsThatRotaCannotRotate(t *testing.T) {
	cfg := settings(&testenv.SSHServer{Addr: "web-1:22", User: "rota", HostKey: ecdsaKey(t)})
	_, cfg.PrivateKey = testenv.SSHKey(t)
	cfg.Password = "own-canary-1"
	c := connectWith(t, cfg)
	for name, bad := range map[string]PasswordConfig{
		"its own":              {User: "rota"},
		"no name":              {},
		"two lines":            {User: "a\nroot"},
		"another user's entry": {User: "a:b"},
	} {
		if _, err := c.Password(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := passwordWith(t, c, PasswordConfig{User: "backup"})
	for _, text := range []string{"", "a\nroot:x", "a\x00"} {
		bad := rota.NewCredential(map[string]string{rota.FieldUsername: "backup", rota.FieldPassword: text})
		wantError(t, p.Set(t.Context(), rota.SetRequest{Credential: bad}), rota.ClassRegenerate)
	}
}

func TestHashesAreThoseOfTheSystem(t *testing.T) {
	// From the specification.
	if got, want := sha512Crypt("Hello world!", "saltstring"), "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, password := range []string{"", "x", strings.Repeat("long ", 40), "ünïcode ✓", "63-byte-" + strings.Repeat("k", 55), strings.Repeat("k", 64), strings.Repeat("k", 65)} {
		hash := hashPassword(password)
		out, found := pipe(t, password+"\n", "openssl", "passwd", "-6", "-stdin", "-salt", strings.Split(hash, "$")[2])
		if found && password != "" && strings.TrimSpace(out) != hash {
			t.Errorf("%q: %s, and by openssl %s", password, hash, out)
		}
		if same, known := matches(hash, password); !same || !known {
			t.Errorf("%q doesn't match its own hash", password)
		}
		if same, _ := matches(hash, password+"x"); same {
			t.Errorf("%q matches another password's hash", password)
		}
	}
	for _, other := range []string{"", "!", "*", "$y$j9T$abc$def", "$6$rounds=9000$salt$x", "!$6$salt$x"} {
		if _, known := matches(other, "x"); known {
			t.Errorf("%q was taken for a hash that Rota made", other)
		}
	}
}
