package ssh

import (
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// runs runs a script that does nothing, on the first host.
func runs(t testing.TB, c *Connection) error {
	_, err := c.nodes[0].run(t.Context(), script{op: "test", text: ":"})
	return c.failed(t.Context(), "run sh", err)
}

func TestWaysToLogIn(t *testing.T) {
	ca, _ := testenv.SSHKey(t)
	certified, certifiedText := testenv.SSHKey(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.pub"), string(ssh.MarshalAuthorizedKey(ca.PublicKey())), 0o600)
	s := testenv.SSHD(t, testenv.SSHOptions{Config: []string{"TrustedUserCAKeys " + filepath.Join(dir, "ca.pub")}})
	certificate := &ssh.Certificate{Key: certified.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{s.User}, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	raw, err := ssh.ParseRawPrivateKey([]byte(s.ClientKey))
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(raw, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	encrypted := string(pem.EncodeToMemory(block))
	socket := serveAgent(t, raw)
	for name, change := range map[string]func(*Config){
		"a key":                 func(*Config) {},
		"a key without its end": func(c *Config) { c.PrivateKey = strings.TrimSpace(c.PrivateKey) },
		"an encrypted key":      func(c *Config) { c.PrivateKey, c.Passphrase = encrypted, "open sesame" },
		"a certificate": func(c *Config) {
			c.PrivateKey, c.Certificate = certifiedText, string(ssh.MarshalAuthorizedKey(certificate))
		},
		"an agent": func(c *Config) { c.PrivateKey, c.AgentSocket = "", socket },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settings(s)
			change(&cfg)
			if err := runs(t, connectWith(t, cfg)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		cfg := settings(s)
		cfg.PrivateKey = certifiedText
		wantError(t, runs(t, connectWith(t, cfg)), rota.ClassStop, "refuses the login of "+s.User, "authorized_keys")
	})
	t.Run("no agent", func(t *testing.T) {
		cfg := settings(s)
		cfg.PrivateKey, cfg.AgentSocket = "", filepath.Join(dir, "none")
		wantError(t, runs(t, connectWith(t, cfg)), rota.ClassWait, "agent")
	})
}

func serveAgent(t testing.TB, key any) string {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rota-agent-") // short, for the socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, conn) }()
		}
	}()
	return l.Addr().String()
}

func TestOnlyKnownHostsAreTalkedTo(t *testing.T) {
	ca, _ := testenv.SSHKey(t)
	other, _ := testenv.SSHKey(t)
	s := testenv.SSHD(t, testenv.SSHOptions{HostCA: ca})
	name := knownhosts.Normalize(s.Addr)
	authority := func(key ssh.Signer) string {
		return "@cert-authority [127.0.0.*]:" + s.Addr[strings.LastIndex(s.Addr, ":")+1:] + " " + string(ssh.MarshalAuthorizedKey(key.PublicKey()))
	}
	line := func(key ssh.PublicKey) string { return knownhosts.Line([]string{name}, key) + "\n" }
	for test, text := range map[string]string{
		"its key":                         line(s.HostKey),
		"its key, hashed":                 knownhosts.Line([]string{knownhosts.HashHostname(name)}, s.HostKey),
		"its authority":                   authority(ca),
		"its authority among others":      "# of ours\n\n" + authority(other) + authority(ca),
		"its key, and another host's":     knownhosts.Line([]string{"db"}, other.PublicKey()) + "\n" + line(s.HostKey),
		"a key of a kind it doesn't have": line(s.HostKey) + line(ecdsaKey(t)),
		"its old key, and the one it has": line(otherEd25519(t)) + line(s.HostKey),
		"any host's authority":            "@cert-authority * " + string(ssh.MarshalAuthorizedKey(ca.PublicKey())),
		"its key, without the port":       knownhosts.Line([]string{"127.0.0.1"}, s.HostKey),
		"lines that end as on Windows":    strings.ReplaceAll(line(s.HostKey), "\n", "\r\n"),
	} {
		t.Run(test, func(t *testing.T) {
			cfg := settings(s)
			cfg.KnownHosts = text
			if err := runs(t, connectWith(t, cfg)); err != nil {
				t.Error(err)
			}
		})
	}
	fingerprint := ssh.FingerprintSHA256(s.HostKey)
	for test, bad := range map[string]struct{ text, words string }{
		"another key":        {line(other.PublicKey()), "isn't the one in known_hosts"},
		"another host's key": {knownhosts.Line([]string{"db"}, s.HostKey), "no authorities for hostname"},
		"another authority":  {authority(other), ""},
		"another key, and its own without the port": {line(other.PublicKey()) + knownhosts.Line([]string{"127.0.0.1"}, s.HostKey), "isn't the one in known_hosts"},
		"any host's authority, and another one's":   {"@cert-authority db " + string(ssh.MarshalAuthorizedKey(ca.PublicKey())), ""},
		"its key was revoked":                       {line(s.HostKey) + "@revoked * " + string(ssh.MarshalAuthorizedKey(s.HostKey)), "revoked"},
	} {
		t.Run(test, func(t *testing.T) {
			cfg := settings(s)
			cfg.KnownHosts = bad.text
			wantError(t, runs(t, connectWith(t, cfg)), rota.ClassStop, bad.words, fingerprint, "somebody else answers")
		})
	}
	for test, text := range map[string]string{"nothing": "", "only comments": "# none\n", "no key": "web-1 ssh-ed25519", "revoked keys alone": "@revoked * " + string(ssh.MarshalAuthorizedKey(s.HostKey))} {
		t.Run(test, func(t *testing.T) {
			cfg := settings(s)
			cfg.KnownHosts = text
			if _, err := New("web", cfg); err == nil || !strings.Contains(err.Error(), "known_hosts") {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}

func ecdsaKey(t testing.TB) ssh.PublicKey {
	t.Helper()
	pair, err := generate(AlgorithmECDSA)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(pair.Public())
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestAHostThatGotAnotherKeyIsNotTalkedTo(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	if err := runs(t, c); err != nil {
		t.Fatal(err)
	}
	s.NewHostKey(t)
	s.Restart(t)
	c.Close() // the connection that's open stays the one to the host that was verified
	wantError(t, runs(t, c), rota.ClassStop, "isn't the one in known_hosts", ssh.FingerprintSHA256(s.HostKey))
}

func TestJumpHosts(t *testing.T) {
	first, second, last := testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{})
	dead := testenv.FreePort(t)
	cfg := settings(first)
	cfg.Hosts = append([]string{fmt.Sprintf("127.0.0.1:%d", dead)}, cfg.Hosts...) // the next one is tried
	bastion := connectWith(t, cfg)
	cfg = settings(second)
	cfg.Via = bastion
	inner := connectWith(t, cfg)
	cfg = settings(last)
	cfg.Via = inner
	if err := runs(t, connectWith(t, cfg)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*testenv.SSHServer{first, second} {
		if !strings.Contains(read(t, s.LogFile()), "direct-tcpip") && !strings.Contains(read(t, s.LogFile()), "Accepted publickey") {
			t.Errorf("%s isn't on the way", s.Addr)
		}
	}
	t.Run("one that forwards nothing", func(t *testing.T) {
		s := testenv.SSHD(t, testenv.SSHOptions{Config: []string{"AllowTcpForwarding no"}})
		cfg := settings(last)
		cfg.Via = to(t, s)
		wantError(t, runs(t, connectWith(t, cfg)), rota.ClassWait, "AllowTcpForwarding")
	})
}

func TestHostsThatCannotBeReached(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		s := testenv.SSHD(t, testenv.SSHOptions{})
		c := to(t, s)
		s.Stop()
		wantError(t, runs(t, c), rota.ClassWait, "refused", "check the hosts")
	})
	t.Run("silent", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		cfg := settings(&testenv.SSHServer{Addr: l.Addr().String(), User: "rota", HostKey: ecdsaKey(t)})
		_, cfg.PrivateKey = testenv.SSHKey(t)
		cfg.Timeout = 200 * time.Millisecond
		wantError(t, runs(t, connectWith(t, cfg)), rota.ClassWait, "no response in time")
	})
	t.Run("no login left", func(t *testing.T) { // what sshd does above MaxStartups
		w := newWire(t, "127.0.0.1:1")
		w.refuse()
		cfg := settings(&testenv.SSHServer{Addr: w.addr, User: "rota", HostKey: ecdsaKey(t)})
		_, cfg.PrivateKey = testenv.SSHKey(t)
		wantError(t, runs(t, connectWith(t, cfg)), rota.ClassWait, "closed the connection before the login", "MaxStartups")
	})
}

// Login shells of all kinds read the one line that they get alike.
func TestLoginShells(t *testing.T) {
	text := script{op: "test", text: `printf '%s' "$value"; cat`, vars: []variable{{"value", "it's $HOME `id` \\ !\n\"x\""}}}.write("rota-mark")
	for _, shell := range []string{"sh", "bash", "dash", "rbash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox"} {
		t.Run(shell, func(t *testing.T) {
			args := []string{"-c", command("", len(text))}
			if shell == "busybox" {
				args = append([]string{"sh"}, args...)
			}
			out, found := pipe(t, text+"and\x00more", shell, args...)
			if !found {
				t.Logf("%s isn't installed", shell)
				return
			}
			if want := "\nrota-mark begin\nit's $HOME `id` \\ !\n\"x\"and\x00more\nrota-mark end 0\n"; out != want {
				t.Errorf("%q, want %q", out, want)
			}
		})
	}
}

func TestHostsThatRunSomethingElse(t *testing.T) {
	for name, test := range map[string]struct {
		config []string
		class  rota.Class
		words  []string
	}{
		"a forced command":       {[]string{"ForceCommand echo welcome"}, rota.ClassStop, []string{"welcome", "ForceCommand"}},
		"no login shell":         {[]string{"ForceCommand echo 'This account is currently not available.'; exit 1"}, rota.ClassStop, []string{"currently not available", "login shell"}},
		"a restricted shell":     {[]string{`ForceCommand PATH=/nowhere /bin/bash -r -c "$SSH_ORIGINAL_COMMAND"`}, rota.ClassStop, []string{"sh", "restricted shell"}},
		"files that only let in": {[]string{"ForceCommand internal-sftp"}, rota.ClassStop, []string{"ForceCommand"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, runs(t, to(t, testenv.SSHD(t, testenv.SSHOptions{Config: test.config}))), test.class, test.words...)
		})
	}
	t.Run("a shell that prints banners", func(t *testing.T) {
		s := testenv.SSHD(t, testenv.SSHOptions{Config: []string{`ForceCommand printf 'Welcome!\nrota- begin'; printf 'motd\n' >&2; sh -c "$SSH_ORIGINAL_COMMAND"; echo bye`}})
		path := filepath.Join(homeDir(t), "f")
		if err := deliver(t, fileAt(t, to(t, s), path)); err != nil {
			t.Fatal(err)
		}
		if text := read(t, path); !strings.Contains(text, "hush-4Kd91") {
			t.Errorf("the file is %q", text)
		}
	})
}

// What sudo and file systems say leads to a remedy. sudo is a stand-in with its
// texts: the real one would need a line in the machine's own sudoers.
func TestWhatHostsSay(t *testing.T) {
	for said, want := range map[string]struct {
		class rota.Class
		words string
	}{
		"sudo: a password is required":                                       {rota.ClassStop, "NOPASSWD"},
		"sudo: sorry, you must have a tty to run sudo":                       {rota.ClassStop, "!requiretty"},
		"rota is not in the sudoers file.":                                   {rota.ClassStop, "sudoers"},
		"sudo: unknown user app":                                             {rota.ClassStop, "run_as"},
		"sh: 1: cannot create ./x: Read-only file system":                    {rota.ClassStop, "can be written"},
		"cat: write error: No space left on device":                          {rota.ClassWait, "free some space"},
		"mv: cannot move './a' to './b': Operation not permitted":            {rota.ClassStop, "lsattr"},
		"Sorry, user rota is not allowed to execute '/bin/sh' as app on web": {rota.ClassStop, "sudoers"},
	} {
		t.Run(said, func(t *testing.T) {
			bin := t.TempDir()
			write(t, filepath.Join(bin, "sudo"), "#!/bin/sh\ncat >/dev/null\necho "+quote(said)+" >&2\nexit 1\n", 0o755)
			c := to(t, testenv.SSHD(t, testenv.SSHOptions{Path: bin}))
			err := deliver(t, fileWith(t, c, FileConfig{Path: filepath.Join(homeDir(t), "f"), RunAs: "app"}))
			wantError(t, err, want.class, said, want.words)
		})
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	signer, key := testenv.SSHKey(t)
	good := Config{Hosts: []string{"web-1"}, User: "rota", PrivateKey: key, KnownHosts: knownhosts.Line([]string{"web-1"}, signer.PublicKey())}
	if _, err := New("web", good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no host":                   func(c *Config) { c.Hosts = nil },
		"a URL":                     func(c *Config) { c.Hosts = []string{"ssh://web-1"} },
		"a user in the host":        func(c *Config) { c.Hosts = []string{"rota@web-1"} },
		"a port that's none":        func(c *Config) { c.Hosts = []string{"web-1:ssh"} },
		"no user":                   func(c *Config) { c.User = "" },
		"a user that's an option":   func(c *Config) { c.User = "-oProxyCommand" },
		"nothing to log in with":    func(c *Config) { c.PrivateKey = "" },
		"a key that's none":         func(c *Config) { c.PrivateKey = "hush" },
		"a certificate that's none": func(c *Config) { c.Certificate = string(ssh.MarshalAuthorizedKey(signer.PublicKey())) },
		"a negative timeout":        func(c *Config) { c.Timeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			if _, err := New("web", cfg); err == nil || !strings.HasPrefix(err.Error(), "ssh web: ") || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for host, want := range map[string]string{"Web-1.internal.": "web-1.internal:22", "web-1:2222": "web-1:2222", "::1": "[::1]:22", "[::1]:2222": "[::1]:2222", "10.0.0.1": "10.0.0.1:22"} {
		if got, err := endpoint(host); got != want || err != nil {
			t.Errorf("%s is %s (%v), want %s", host, got, err, want)
		}
	}
	if slices.Contains([]string{shown("web-1:22")}, "web-1:22") {
		t.Error("the usual port is shown")
	}
}
