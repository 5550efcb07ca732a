//go:build unix

package testenv

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSHOptions configure a test's sshd.
type SSHOptions struct {
	// Config are more lines for sshd_config. The first line of a kind wins, and
	// these come first.
	Config []string
	// Path are folders that sessions look for programs in before all others.
	Path string
	// HostCA, if set, signs the host's key for 127.0.0.1.
	HostCA ssh.Signer
	// Gate makes each command pass a script that Fault can have fail.
	Gate bool
	// Wrap is a program that runs sshd, with its arguments; none by default.
	Wrap []string
}

// SSHServer is a private sshd on 127.0.0.1. It lets in the tests' own user with
// the key ClientKey.
type SSHServer struct {
	Addr      string // host:port
	Dir       string
	User      string
	ClientKey string // in PEM
	HostKey   ssh.PublicKey

	options SSHOptions
	etc     string // "" for the machine's
	port    int
	launch  launch
	child
}

// SSHD starts a private sshd and stops it when the test ends.
func SSHD(t testing.TB, o SSHOptions) *SSHServer {
	t.Helper()
	program, err := exec.LookPath("sshd")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/sshd")
	}
	if err != nil {
		Missing(t, "sshd", "apt-get install openssh-server")
	}
	dir, err := os.MkdirTemp("", "rota-sshd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // sshd's, and empty: the package's service makes it otherwise
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &SSHServer{Dir: dir, User: me.Username, options: o, port: FreePort(t)}
	s.Addr = "127.0.0.1:" + strconv.Itoa(s.port)
	s.NewHostKey(t)
	client, text := SSHKey(t)
	s.ClientKey = text
	s.write(t, "rota_keys", string(ssh.MarshalAuthorizedKey(client.PublicKey())), 0o600)
	s.write(t, "sshd_config", s.config(me.Username), 0o600)
	if o.Gate {
		s.write(t, "gate", strings.ReplaceAll(gateScript, "DIR", dir), 0o755)
	}
	args := []string{"-D", "-e", "-f", filepath.Join(dir, "sshd_config")}
	if len(o.Wrap) > 0 {
		args = append(append(o.Wrap[1:len(o.Wrap):len(o.Wrap)], program), args...)
		program = o.Wrap[0]
	}
	s.launch = launch{Name: "sshd", Program: program, Args: args, Log: s.LogFile(), Stop: "TERM", Ready: s.ready}
	if err := s.start(s.launch); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

func (s *SSHServer) config(me string) string {
	lines := append([]string{}, s.options.Config...)
	lines = append(lines,
		"Port "+strconv.Itoa(s.port), "ListenAddress 127.0.0.1", "HostKey "+filepath.Join(s.Dir, "host_key"), "PidFile none",
		"UsePAM no", "StrictModes no", "PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"MaxStartups 100", "LogLevel VERBOSE", "AuthorizedKeysFile "+filepath.Join(s.Dir, "rota_keys")+" "+s.AuthorizedKeys())
	if s.options.HostCA != nil {
		lines = append(lines, "HostCertificate "+filepath.Join(s.Dir, "host_key-cert.pub"))
	}
	// Another home: a shell's own files may be slow, or print something.
	env := "SetEnv HOME=" + s.Dir
	if s.options.Path != "" {
		env += " PATH=" + s.options.Path + ":" + os.Getenv("PATH")
	}
	lines = append(lines, env)
	if s.options.Gate {
		lines = append(lines, "Match User "+me, "ForceCommand "+filepath.Join(s.Dir, "gate"))
	}
	return strings.Join(lines, "\n") + "\n"
}

// gateScript runs the command that a client asked for, and has the one go wrong
// that the file fault is about: a word of the script's first line, and how.
const gateScript = `#!/bin/sh
in=DIR/in.$$
trap 'rm -f "$in"' EXIT
if [ ! -f DIR/fault ]; then
	exec sh -c "$SSH_ORIGINAL_COMMAND"
fi
length=${SSH_ORIGINAL_COMMAND#*count=}
dd bs=1 count="${length%% *}" of="$in" 2>/dev/null
case $(head -n 1 "$in") in
"# rota: reload"*) ;; # its standard input stays open
*) cat >>"$in" ;;
esac
read -r kind word <DIR/fault
case $(head -n 1 "$in") in
"# rota: $word"*) mv DIR/fault DIR/fault.$$ 2>/dev/null || kind= ;;
*) kind= ;;
esac
case $kind in
before) kill -KILL $PPID; exit ;;
lose) sh -c "$SSH_ORIGINAL_COMMAND" <"$in" >/dev/null; kill -KILL $PPID; exit ;;
hang) while [ -f DIR/sshd_config ]; do sleep 0.1; done; exit ;;
repeat) sh -c "$SSH_ORIGINAL_COMMAND" <"$in" >/dev/null ;;
esac
sh -c "$SSH_ORIGINAL_COMMAND" <"$in"
`

// Fault has the next script whose first line begins with the word go wrong: its
// connection breaks "before" it runs, or after that ("lose"); it is run twice
// ("repeat"), or never answers ("hang").
func (s *SSHServer) Fault(t testing.TB, word, kind string) {
	t.Helper()
	s.write(t, "fault.new", kind+" "+word+"\n", 0o600)
	if err := os.Rename(filepath.Join(s.Dir, "fault.new"), filepath.Join(s.Dir, "fault")); err != nil {
		t.Fatal(err)
	}
}

// NoFault takes back what Fault asked for and didn't happen.
func (s *SSHServer) NoFault() { _ = os.Remove(filepath.Join(s.Dir, "fault")) }

// NewHostKey gives the host another key, which it shows from its next start on.
func (s *SSHServer) NewHostKey(t testing.TB) {
	t.Helper()
	signer, text := SSHKey(t)
	s.HostKey = signer.PublicKey()
	s.write(t, "host_key", text, 0o600)
	if s.options.HostCA == nil {
		return
	}
	certificate := &ssh.Certificate{Key: s.HostKey, CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, s.options.HostCA); err != nil {
		t.Fatal(err)
	}
	s.write(t, "host_key-cert.pub", string(ssh.MarshalAuthorizedKey(certificate)), 0o600)
}

// LetIn lets in another server's key as well, so that one connection reaches both.
func (s *SSHServer) LetIn(other *SSHServer) {
	if s == other {
		return
	}
	keys, err := os.ReadFile(filepath.Join(other.Dir, "rota_keys"))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, "rota_keys"), keys, 0o600)
	}
	if err != nil {
		panic(err)
	}
}

// SSHKey makes a key pair, and the private key in OpenSSH's format.
func SSHKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// KnownHosts is the host's line in known_hosts.
func (s *SSHServer) KnownHosts() string {
	return knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, s.HostKey) + "\n"
}

// AuthorizedKeys is the path of the file for the keys that tests rotate.
func (s *SSHServer) AuthorizedKeys() string { return filepath.Join(s.Dir, "authorized_keys") }

// LogFile returns the path of the server's log.
func (s *SSHServer) LogFile() string { return filepath.Join(s.Dir, "log") }

// Stop kills the server. Connections that are open stay so.
func (s *SSHServer) Stop() { s.end() }

// Restart kills the server and starts it again on the same port.
func (s *SSHServer) Restart(t testing.TB) {
	t.Helper()
	s.end()
	if err := s.start(s.launch); err != nil {
		t.Fatal(err)
	}
}

func (s *SSHServer) write(t testing.TB, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (s *SSHServer) ready(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	banner := make([]byte, 4)
	if _, err := conn.Read(banner); err != nil || string(banner) != "SSH-" {
		return fmt.Errorf("no banner: %w", err)
	}
	return nil
}
