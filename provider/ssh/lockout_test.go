package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// A connection's own user can have their keys rotated, but not the one that Rota logs
// in with turned off.
func TestTheKeyThatRotaLogsInWithIsNotTurnedOff(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	k := keysWith(t, c, KeysConfig{Path: filepath.Join(s.Dir, "rota_keys")})
	own := ssh.FingerprintSHA256(c.login.signers[0].PublicKey())
	before := read(t, filepath.Join(s.Dir, "rota_keys"))
	wantError(t, k.Deactivate(t.Context(), rota.RetireRequest{CredentialID: own}), rota.ClassStop, "lock itself out", "private_key")
	wantError(t, k.Delete(t.Context(), rota.RetireRequest{CredentialID: own}), rota.ClassStop, "lock itself out")
	if read(t, filepath.Join(s.Dir, "rota_keys")) != before {
		t.Error("the file was changed")
	}
	other := create(t, k, rota.Credential{})
	if err := k.Deactivate(t.Context(), rota.RetireRequest{CredentialID: k.CredentialID(other)}); err != nil {
		t.Errorf("another key of the same user: %v", err)
	}

	// The jump host and the host behind it may be the same.
	cfg := settings(s)
	cfg.Via = c
	_, cfg.PrivateKey = testenv.SSHKey(t)
	behind := keysWith(t, connectWith(t, cfg), KeysConfig{Path: filepath.Join(s.Dir, "rota_keys")})
	if !behind.c.logsInWith(s.User, own) || behind.c.logsInWith("somebody", own) {
		t.Error("the jump host's login isn't seen as Rota's own")
	}
}

func TestThePasswordOfAJumpHostsLoginIsNotRotated(t *testing.T) {
	host := &testenv.SSHServer{Addr: "web-1:22", User: "rota", HostKey: ecdsaKey(t)}
	cfg := settings(host)
	_, cfg.PrivateKey = testenv.SSHKey(t)
	jump := cfg
	jump.User, jump.Password = "jump", "own-canary-1"
	cfg.Via = connectWith(t, jump)
	if _, err := connectWith(t, cfg).Password(PasswordConfig{User: "jump"}); err == nil || !strings.Contains(err.Error(), "lock itself out") {
		t.Errorf("accepted: %v", err)
	}
}

// sshd may read more files than the one that Rota knows.
func TestAKeyThatIsOffMustNotLogIn(t *testing.T) {
	elsewhere := filepath.Join(homeDir(t), "more")
	s := testenv.SSHD(t, testenv.SSHOptions{Config: []string{"AuthorizedKeysCommand /bin/cat " + elsewhere, "AuthorizedKeysCommandUser " + currentUser(t)}})
	k := keysWith(t, to(t, s), KeysConfig{Path: s.AuthorizedKeys()})
	c := create(t, k, rota.Credential{})
	write(t, elsewhere, read(t, s.AuthorizedKeys()), 0o600)
	id := rota.RetireRequest{CredentialID: k.CredentialID(c)}
	for range 2 {
		wantError(t, k.Deactivate(t.Context(), id), rota.ClassStop, "still accepts it", "AuthorizedKeysFile")
	}
	wantError(t, k.Delete(t.Context(), id), rota.ClassStop, "still accepts it")
	if !strings.Contains(read(t, s.AuthorizedKeys()), "#rota-off# ") {
		t.Error("the line was removed, and with it all that Rota knows of the key")
	}
	if err := os.Remove(elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := k.Deactivate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestPreflightSeesAFileThatTheHostDoesNotRead(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	path := filepath.Join(homeDir(t), "keys")
	accepts := func(k *keys) *rota.Finding {
		t.Helper()
		for _, f := range k.Preflight(t.Context()) {
			if strings.Contains(f.Check, "accepts the keys") {
				return &f
			}
		}
		return nil
	}
	if f := accepts(keysWith(t, to(t, s), KeysConfig{Path: path})); f != nil {
		t.Errorf("a file without keys says something: %+v", f)
	}
	for algorithm, read := range map[string]bool{AlgorithmEd25519: true, AlgorithmRSA: true, AlgorithmECDSA: false} {
		at := path
		if read {
			at = s.AuthorizedKeys()
		}
		k := keysWith(t, to(t, s), KeysConfig{Path: at, Algorithm: algorithm})
		create(t, k, rota.Credential{})
		f := accepts(k)
		if f == nil || f.OK != read || f.Warning == read {
			t.Errorf("%s, read by the host %t: %+v", algorithm, read, f)
		} else if !read && len(f.Remedies) == 0 {
			t.Error("nobody is told what to do")
		}
	}
}

// The lock is a ! before the hash, which chpasswd would drop.
func TestALockedAccountGetsNoPassword(t *testing.T) {
	s := testenv.SSHDWithUsers(t, testenv.SSHOptions{}, unixUser, "expired")
	shadow := filepath.Join(s.Etc(), "shadow")
	p := passwordWith(t, to(t, s), PasswordConfig{User: unixUser})
	first, err := p.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	set := func() error { return p.Set(t.Context(), rota.SetRequest{Credential: first}) }
	if err := set(); err != nil {
		t.Fatalf("a user without a password yet: %v", err)
	}
	for _, lock := range []string{"!", "!!"} {
		write(t, shadow, strings.Replace(read(t, shadow), unixUser+":$6$", unixUser+":"+lock+"$6$", 1), 0o600)
		locked := read(t, shadow)
		wantError(t, set(), rota.ClassStop, "locked", "passwd -u "+unixUser)
		finding := findingOf(t, p, "locked nor expired")
		if finding.OK || len(finding.Remedies) == 0 {
			t.Errorf("a preflight finds no fault: %+v", finding)
		}
		if read(t, shadow) != locked {
			t.Error("the account was changed")
		}
		write(t, shadow, strings.Replace(locked, unixUser+":"+lock, unixUser+":", 1), 0o600)
	}
	if f := findingOf(t, p, "locked nor expired"); !f.OK {
		t.Errorf("an account in order: %+v", f)
	}
	write(t, shadow, strings.Replace(read(t, shadow), "expired:!:19000:0:99999:7:::", "expired:!:19000:0:99999:7::18000:", 1), 0o600)
	if f := findingOf(t, passwordWith(t, to(t, s), PasswordConfig{User: "expired"}), "locked nor expired"); f.OK || !strings.Contains(f.Detail, "expired") {
		t.Errorf("an expired account: %+v", f)
	}
}

func findingOf(t testing.TB, p rota.Preflighter, check string) rota.Finding {
	t.Helper()
	for _, f := range p.Preflight(t.Context()) {
		if strings.Contains(f.Check, check) {
			return f
		}
	}
	t.Fatalf("no finding about %q", check)
	return rota.Finding{}
}

// pam_faillock locks a user out after three wrong passwords, so that a check must
// not give a wrong one twice.
func TestAWrongPasswordIsGivenOnce(t *testing.T) {
	for name, config := range map[string][]string{
		"as a password":                       nil,
		"as a password, and to questions too": {"KbdInteractiveAuthentication yes", "UsePAM yes"},
		"to questions alone":                  {"KbdInteractiveAuthentication yes", "UsePAM yes", "PasswordAuthentication no"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testenv.SSHDWithUsers(t, testenv.SSHOptions{Config: config}, unixUser)
			p := passwordWith(t, to(t, s), PasswordConfig{User: unixUser})
			if f := findingOf(t, p, "asks "+unixUser); !f.OK {
				t.Fatalf("%+v", f)
			}
			c, err := p.Create(t.Context(), rota.CreateRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
				t.Fatal(err)
			}
			if err := p.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
				t.Errorf("the right one: %v", err)
			}
			// sshd may log a failure after its client has left.
			failures := func() int { return strings.Count(read(t, s.LogFile()), "Failed ") }
			for deadline := time.Now().Add(10 * time.Second); failures() == 0 && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			if n := failures(); n != 1 {
				t.Errorf("%d failures:\n%s", n, read(t, s.LogFile()))
			}
		})
	}
}

// A line with PASSWD is enough for sudo -l, if there's another one with NOPASSWD.
func TestPreflightOfPasswordsRunsWhatSetsThem(t *testing.T) {
	bin := t.TempDir()
	write(t, filepath.Join(bin, "sudo"), "#!/bin/sh\ncase $* in *' -l '* | *getent*) exit 0 ;; esac\necho 'sudo: a password is required' >&2\nexit 1\n", 0o755)
	p := passwordWith(t, to(t, testenv.SSHD(t, testenv.SSHOptions{Path: bin})), PasswordConfig{User: "backup", RunAs: "admin"})
	if f := findingOf(t, p, "may set passwords"); f.OK || !strings.Contains(f.Detail, "password is required") {
		t.Errorf("%+v", f)
	}
}

// A folder that can only be added to takes the new file, but not its name.
func TestFilesWithAttributes(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "root", "only root can set attributes")
	}
	c := to(t, testenv.SSHD(t, testenv.SSHOptions{}))
	for name, at := range map[string]string{"a folder": "", "a file": "f"} {
		t.Run(name, func(t *testing.T) {
			dir := homeDir(t)
			path := filepath.Join(dir, "f")
			write(t, path, "{}", 0o600)
			if _, found := pipe(t, "", "chattr", "+a", filepath.Join(dir, at)); !found {
				testenv.Missing(t, "chattr", "apt-get install e2fsprogs")
			}
			defer pipe(t, "", "chattr", "-a", filepath.Join(dir, at))
			target := fileAt(t, c, path)
			for _, f := range target.Preflight(t.Context()) {
				if strings.Contains(f.Check, "write") && (f.OK || len(f.Remedies) == 0) {
					t.Errorf("a preflight finds no fault: %+v", f)
				}
			}
			wantError(t, deliver(t, target), rota.ClassStop, "attribute", "chattr")
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// A lock that can't be removed must not have the script try again for good.
func TestALockThatStaysEndsTheScript(t *testing.T) {
	bin := t.TempDir()
	write(t, filepath.Join(bin, "rm"), "#!/bin/sh\nexit 1\n", 0o755)
	write(t, filepath.Join(bin, "sleep"), "#!/bin/sh\n", 0o755)
	dir := homeDir(t)
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(dir, ".f.rota-lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".f.rota-lock", "pid"), "99999999\n", 0o600)
	c := to(t, testenv.SSHD(t, testenv.SSHOptions{Path: bin}))
	wantError(t, deliver(t, fileAt(t, c, path)), rota.ClassStop, "another process", "rota-lock")
}

func TestPreflightNamesTheLineThatSudoersLacks(t *testing.T) {
	bin := t.TempDir()
	write(t, filepath.Join(bin, "sudo"), "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n", 0o755)
	s := testenv.SSHD(t, testenv.SSHOptions{Path: bin})
	f := fileWith(t, to(t, s), FileConfig{Path: "/srv/f", RunAs: "app"}).Preflight(t.Context())[0]
	if want := s.User + " ALL=(app) NOPASSWD: /bin/sh"; f.OK || !strings.Contains(rota.Hint(f.Remedies), want) {
		t.Errorf("want %q, got %+v", want, f)
	}
}

// A host that was changed meanwhile may repeat what it's sent, a private key's lines
// among it.
func TestWhatAHostRepeatsIsNotShown(t *testing.T) {
	c := to(t, testenv.SSHD(t, testenv.SSHOptions{Config: []string{"ForceCommand cat >&2"}}))
	_, key := testenv.SSHKey(t)
	used := rota.NewCredential(map[string]string{FieldPrivateKey: key})
	_, err := c.nodes[0].run(t.Context(), script{op: "replace", text: ":", input: []byte(key)})
	err = c.failed(t.Context(), "write", err, used)
	wantError(t, err, rota.ClassStop, "but said", "[redacted]")
	for _, line := range strings.Split(key, "\n")[1:6] {
		if strings.Contains(err.Error(), line) {
			t.Errorf("a line of the key is shown: %v", err)
		}
	}
}
