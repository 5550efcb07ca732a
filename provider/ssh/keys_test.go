package ssh

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func keysWith(t testing.TB, c *Connection, cfg KeysConfig) *keys {
	t.Helper()
	if cfg.User == "" {
		cfg.User = c.cfg.User
	}
	i, err := c.Keys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i.(*keys)
}

// create makes a key that replaces another, and sets it.
func create(t testing.TB, k *keys, current rota.Credential) rota.Credential {
	t.Helper()
	c, err := k.Create(t.Context(), rota.CreateRequest{Current: current})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	return c
}

// logsIn is a login that doesn't go through the provider.
func logsIn(t testing.TB, s *testenv.SSHServer, c rota.Credential) bool {
	t.Helper()
	signer, err := ssh.ParsePrivateKey([]byte(c.Field(FieldPrivateKey)))
	if err != nil {
		t.Fatal(err)
	}
	client, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{User: c.Field(rota.FieldUsername), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(s.HostKey)})
	if err == nil {
		_ = client.Close()
	} else if !strings.Contains(err.Error(), "unable to authenticate") {
		t.Fatal(err)
	}
	return err == nil
}

func TestTheKeysKeepTheContract(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{Gate: true})
	both := []string{"read", "replace"}
	words := map[string][]string{"set": both, "delete": both, "deactivate": both, "reactivate": both, "list": {"read"}}
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		_ = os.Remove(s.AuthorizedKeys())
		w := newWire(t, s.Addr)
		cfg := settings(s)
		cfg.Hosts, cfg.KnownHosts = []string{w.addr}, knownHost(w.addr, s)
		inject := injectAt(t, s, words)
		return providertest.IssuerFixture{
			Issuer: keysWith(t, connectWith(t, cfg), KeysConfig{Path: s.AuthorizedKeys()}),
			Inject: func(op string, kind providertest.FaultKind) bool {
				if op == "test" && kind == providertest.FailBefore {
					w.refuse()
					return true
				}
				return inject(op, kind)
			},
			PublicFields: []string{rota.FieldUsername, FieldPublicKey, fieldReplaces}, UnknownID: "SHA256:nobody",
			Wrong: func(c rota.Credential) rota.Credential {
				private, _, err := newPair(AlgorithmEd25519, "")
				if err != nil {
					t.Fatal(err)
				}
				fields := c.Fields()
				fields[FieldPrivateKey] = private
				return rota.NewCredential(fields)
			},
		}
	})
}

func TestAKeyTakesTheOptionsOfTheOneBefore(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	anna, _ := testenv.SSHKey(t)
	theirs := "# who may do what\n" + `from="10.0.0.0/8",command="echo \"hi, you\"" ` + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(anna.PublicKey()))) + " anna@laptop\n\n"
	_, adoptedKey := testenv.SSHKey(t)
	k := keysWith(t, to(t, s), KeysConfig{Path: s.AuthorizedKeys(), Name: "ci"})
	adopted := k.Complete(rota.NewCredential(map[string]string{FieldPrivateKey: adoptedKey}))
	const options = `from="127.0.0.0/8",no-pty,environment="A=b, \"c\"" `
	old := options + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(publicOf(adopted)))) + " ci from before Rota"
	write(t, s.AuthorizedKeys(), theirs+old, 0o644) // without an end of the line
	first := create(t, k, adopted)
	second := create(t, k, rota.Credential{}) // a store that keeps only some fields: the mark says which line
	text := read(t, s.AuthorizedKeys())
	lineOf := func(c rota.Credential) string {
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(publicOf(c)))) + " rota:ci\n"
	}
	if want := theirs + old + "\n" + options + lineOf(first) + options + lineOf(second); text != want {
		t.Errorf("the file is\n%s\nwant\n%s", text, want)
	}
	if info, _ := os.Stat(s.AuthorizedKeys()); info.Mode().Perm() != 0o644 {
		t.Errorf("its mode became %v", info.Mode())
	}
	for _, c := range []rota.Credential{adopted, first, second} {
		if !logsIn(t, s, c) {
			t.Error("a key no longer logs in while both are valid")
		}
	}
	// Retired, nothing is left of them, and all else is as it was.
	for _, c := range []rota.Credential{adopted, first} {
		retire := rota.RetireRequest{CredentialID: k.CredentialID(c)}
		if err := k.Deactivate(t.Context(), retire); err != nil {
			t.Fatal(err)
		}
		if logsIn(t, s, c) || !logsIn(t, s, second) {
			t.Error("the wrong key was turned off")
		}
		if !strings.Contains(read(t, s.AuthorizedKeys()), offPrefix+options) {
			t.Errorf("the line isn't kept:\n%s", read(t, s.AuthorizedKeys()))
		}
		if err := k.Delete(t.Context(), retire); err != nil {
			t.Fatal(err)
		}
	}
	if text, want := read(t, s.AuthorizedKeys()), theirs+options+lineOf(second); text != want {
		t.Errorf("the file is\n%s\nwant\n%s", text, want)
	}
	given := `no-port-forwarding`
	third := create(t, keysWith(t, to(t, s), KeysConfig{Path: s.AuthorizedKeys(), Name: "ci", Options: &given}), second)
	if text := read(t, s.AuthorizedKeys()); !strings.HasSuffix(text, "\n"+given+" "+lineOf(third)) {
		t.Errorf("not the options of rota.yaml:\n%s", text)
	}
}

func TestKeysOfAllKindsLogIn(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	for _, algorithm := range []string{AlgorithmEd25519, AlgorithmECDSA, AlgorithmRSA} {
		t.Run(algorithm, func(t *testing.T) {
			k := keysWith(t, to(t, s), KeysConfig{Path: s.AuthorizedKeys(), Algorithm: algorithm})
			c := create(t, k, rota.Credential{})
			if err := k.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
				t.Error(err)
			}
			if !strings.Contains(c.Field(FieldPublicKey), algorithm) || !logsIn(t, s, c) {
				t.Errorf("the key is %s", c.Field(FieldPublicKey))
			}
		})
	}
}

// In a home folder, .ssh is made with its file. The scripts are told that another
// folder is the home, so that nothing of the tests' own user changes.
func TestKeysInAHomeFolder(t *testing.T) {
	home := homeDir(t)
	k := keysWith(t, to(t, testenv.SSHD(t, testenv.SSHOptions{})), KeysConfig{})
	read := strings.ReplaceAll(readScript, `eval "at=~$home"`, "at="+quote(home))
	if read == readScript {
		t.Fatal("the scripts find home folders in another way")
	}
	swap(t, &readScript, read)
	swap(t, &writeScript, strings.ReplaceAll(writeScript, `eval "at=~$home"`, "at="+quote(home)))
	for _, f := range k.Preflight(t.Context()) {
		if !f.OK {
			t.Errorf("preflight: %+v", f)
		}
	}
	if _, err := os.Stat(filepath.Join(home, ".ssh")); err == nil {
		t.Error("the preflight made a folder")
	}
	create(t, k, rota.Credential{})
	for path, want := range map[string]os.FileMode{".ssh": 0o700, ".ssh/authorized_keys": 0o600} {
		if info, err := os.Stat(filepath.Join(home, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	// A link in place of the folder isn't followed.
	_ = os.Rename(filepath.Join(home, ".ssh"), filepath.Join(home, "elsewhere"))
	symlink(t, "elsewhere", filepath.Join(home, ".ssh"))
	_, err := k.List(t.Context())
	wantError(t, err, rota.ClassStop, "symbolic link")
}

// Configuration management often keeps the keys elsewhere and has authorized_keys link to
// them. A file in place of the link would be undone at its next run, and lock out the
// consumers of the new key. So nothing is changed, and the remedy names the real file.
func TestALinkToTheKeysIsNeverReplaced(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	dir := homeDir(t)
	real, link := filepath.Join(dir, "managed"), filepath.Join(dir, "authorized_keys")
	const managed = "# managed\n"
	write(t, real, managed, 0o600)
	symlink(t, "managed", link)
	k := keysWith(t, to(t, s), KeysConfig{Path: link})
	c, err := k.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	err = k.Set(t.Context(), rota.SetRequest{Credential: c})
	wantError(t, err, rota.ClassStop, "symbolic link")
	if r := rota.RemediesOf(err); len(r) != 1 || !strings.Contains(r[0].String(), real) {
		t.Errorf("the remedies are %+v", r)
	}
	findings := k.Preflight(t.Context())
	if last := findings[len(findings)-1]; last.OK || !strings.Contains(last.Detail, "symbolic link") {
		t.Errorf("check says %+v", findings)
	}
	if to, err := os.Readlink(link); err != nil || to != "managed" {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	if text, _ := os.ReadFile(real); string(text) != managed {
		t.Errorf("the file has %q", text)
	}
}

func swap(t testing.TB, what *string, with string) {
	before := *what
	*what = with
	t.Cleanup(func() { *what = before })
}

func TestKeysOnSeveralHosts(t *testing.T) {
	a, b := testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{})
	k := keysWith(t, to(t, a), KeysConfig{Path: a.AuthorizedKeys()})
	c := create(t, k, rota.Credential{})
	both := keysWith(t, to(t, a, b), KeysConfig{Path: a.AuthorizedKeys()})
	// b doesn't read that file: the key is refused there, and so as a whole.
	err := both.Test(t.Context(), rota.TestRequest{Credential: c})
	wantError(t, err, rota.ClassWait, "credential refused", "on "+b.Addr)
	b.Stop()
	if inForce, known, err := both.InForce(t.Context(), c); inForce || known || err == nil {
		t.Errorf("in force %t, known %t, %v, although a host can't be asked", inForce, known, err)
	}
}

func TestCredentialsThatAreNotThisSecrets(t *testing.T) {
	signer, key := testenv.SSHKey(t)
	c := connectWith(t, Config{Hosts: []string{"web-1"}, User: "rota", PrivateKey: key, KnownHosts: "web-1 " + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))})
	k := keysWith(t, c, KeysConfig{User: "deploy"})
	_, other := testenv.SSHKey(t)
	good := k.Complete(rota.NewCredential(map[string]string{FieldPrivateKey: key}))
	for name, fields := range map[string]map[string]string{
		"another user":     {rota.FieldUsername: "root", FieldPrivateKey: key, FieldPublicKey: good.Field(FieldPublicKey)},
		"no key":           {rota.FieldUsername: "deploy"},
		"another's half":   {rota.FieldUsername: "deploy", FieldPrivateKey: other, FieldPublicKey: good.Field(FieldPublicKey)},
		"what isn't a key": {rota.FieldUsername: "deploy", FieldPrivateKey: "hush-canary-1", FieldPublicKey: "hush-canary-2"},
	} {
		t.Run(name, func(t *testing.T) {
			err := k.Set(t.Context(), rota.SetRequest{Credential: rota.NewCredential(fields)})
			wantError(t, err, rota.ClassStop)
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error has a value: %v", err)
			}
		})
	}
	if good.Field(rota.FieldUsername) != "deploy" || k.CredentialID(good) != ssh.FingerprintSHA256(signer.PublicKey()) {
		t.Errorf("completed to %v", good.Names())
	}
}

func FuzzAuthorizedKeys(f *testing.F) {
	key, err := generate(AlgorithmEd25519)
	if err != nil {
		f.Fatal(err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	for _, seed := range []string{"", "# x\n", line, line + " me\n" + line, "no-pty " + line + "\r\n", offPrefix + line + "\n", `command="a \"b\" #c" ` + line + " rota:default\nx\x00\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		lines := readKeys(content)
		if string(writeKeys(lines)) != string(content) {
			t.Fatal("reading and writing isn't the same")
		}
		another, _ := generate(AlgorithmEd25519)
		fresh, _ := ssh.NewPublicKey(another.Public())
		id := ssh.FingerprintSHA256(fresh)
		with := readKeys(writeKeys(allow(lines, newKey{public: fresh, name: defaultName})))
		if exists, active := has(with, id); !exists || !active {
			t.Fatal("what was added isn't found")
		}
		without := writeKeys(remove(readKeys(writeKeys(turn(with, id, true))), id))
		if string(without) != string(content) && string(without) != string(content)+"\n" {
			if !slices.ContainsFunc(lines, func(l keyLine) bool { return !strings.HasSuffix(l.raw, "\n") }) {
				t.Fatalf("more than one line changed: %q from %q", without, content)
			}
		}
	})
}
