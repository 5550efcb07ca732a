package ssh

import (
	"net"
	"os/user"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func otherEd25519(t testing.TB) ssh.PublicKey {
	t.Helper()
	signer, _ := testenv.SSHKey(t)
	return signer.PublicKey()
}

// OpenSSH doesn't mind the case of names, and neither does DNS.
func TestNamesInKnownHostsInAnyCase(t *testing.T) {
	key := otherEd25519(t)
	for name, text := range map[string]string{
		"plain":       knownhosts.Line([]string{"Web-1.Internal"}, key),
		"with a port": "# Ours\n" + knownhosts.Line([]string{"other", "[WEB-1.internal]:22"}, key),
		"a wildcard":  knownhosts.Line([]string{"*.INTERNAL"}, key),
		"hashed":      knownhosts.Line([]string{knownhosts.HashHostname("web-1.internal")}, key),
	} {
		h, err := readKnownHosts(text)
		if err != nil {
			t.Fatal(err)
		}
		var result hostCheck
		if err := h.check("web-1.internal:22", &result)("web-1.internal:22", &net.TCPAddr{}, key); err != nil || !result.verified {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a host says when nobody gets in has a remedy of its own.
func TestHostsThatLetNobodyIn(t *testing.T) {
	for name, test := range map[string]struct {
		config []string
		class  rota.Class
		words  []string
	}{
		"no key exchange in common": {[]string{"KexAlgorithms sntrup761x25519-sha512@openssh.com"}, rota.ClassStop, []string{"key exchange", "KexAlgorithms"}},
		"no cipher in common":       {[]string{"Ciphers aes256-cbc", "MACs hmac-sha1"}, rota.ClassStop, []string{"Ciphers"}},
		"no key of a kind it takes": {[]string{"PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256"}, rota.ClassStop, []string{"refuses the login"}},
		"a time that is too short":  {[]string{"LoginGraceTime 1", "AuthorizedKeysCommand /bin/sleep 3", "AuthorizedKeysCommandUser " + currentUser(t)}, rota.ClassWait, []string{"closed the connection while", "logged in", "chage -l"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testenv.SSHD(t, testenv.SSHOptions{Config: test.config})
			cfg := settings(s)
			if name == "a time that is too short" { // with a key that no file has
				_, cfg.PrivateKey = testenv.SSHKey(t)
			}
			wantError(t, runs(t, connectWith(t, cfg)), test.class, test.words...)
		})
	}
	t.Run("another kind of host key", func(t *testing.T) {
		s := testenv.SSHD(t, testenv.SSHOptions{})
		cfg := settings(s)
		cfg.KnownHosts = knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, ecdsaKey(t))
		wantError(t, runs(t, connectWith(t, cfg)), rota.ClassStop, "host key", "known_hosts")
	})
	t.Run("as few tries as can be", func(t *testing.T) {
		s := testenv.SSHD(t, testenv.SSHOptions{Config: []string{"MaxAuthTries 1"}})
		if f := findingOf(t, keysWith(t, to(t, s), KeysConfig{Path: s.AuthorizedKeys()}), "asks "+s.User); !f.OK {
			t.Errorf("%+v", f)
		}
	})
}

func currentUser(t testing.TB) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Username
}

func TestOneHostHasOneScope(t *testing.T) {
	for a, b := range map[string]string{
		"web-1": "WEB-1.:22", "localhost": "127.0.0.1", "localhost:2222": "[::1]:2222", "10.0.0.7": "::ffff:10.0.0.7", "fd00:0:0::7": "[FD00::7]:22",
	} {
		first, errA := endpoint(a)
		second, errB := endpoint(b)
		if errA != nil || errB != nil || scope(first) != scope(second) {
			t.Errorf("%s is %q, and %s %q (%v, %v)", a, scope(first), b, scope(second), errA, errB)
		}
	}
	for a, b := range map[string]string{"web-1": "web-2", "localhost": "localhost:2222", "10.0.0.7": "10.0.0.8"} {
		first, _ := endpoint(a)
		second, _ := endpoint(b)
		if scope(first) == scope(second) {
			t.Errorf("%s and %s are one host", a, b)
		}
	}
}
