package ssh_test

import (
	"bytes"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/ssh"
)

// The example on the provider's page rotates as it stands there; only the host, its
// users and the folders are the test's. sudo and systemctl are stand-ins: the first
// runs what it's told as the tests' own user.
func TestTheExampleRotates(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(bin, "sudo"), "#!/bin/sh\nwhile [ \"$1\" != -- ]; do\n\tcase $1 in -l) exit 0 ;; esac\n\tshift\ndone\nshift\nexec \"$@\"\n", 0o755)
	put(filepath.Join(bin, "systemctl"), "#!/bin/sh\necho \"$*\" >>"+dir+"/systemctl.log\n", 0o755)
	o := testenv.SSHOptions{Path: bin}
	example := ssh.Provider().Example
	s := testenv.SSHDWithUsers(t, o, "reports")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	file := strings.NewReplacer("web-1.internal, web-2.internal", s.Addr, "user: rota", "user: "+s.User, "{user: deploy}", "{user: "+s.User+", path: "+s.AuthorizedKeys()+"}",
		"group: shop", "group: \""+me.Gid+"\"", "/run/secrets", dir, "/etc/rota", dir, "/etc/shop", dir, "/etc/deploy", dir, "/etc/reports", dir).Replace(example)
	config := filepath.Join(dir, "rota.yaml")
	put(config, file, 0o600)
	put(filepath.Join(dir, "ssh"), s.ClientKey, 0o600)
	put(filepath.Join(dir, "known_hosts"), s.KnownHosts(), 0o600)
	rota := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rota("check")
	if strings.Contains(example, "reports") {
		rota("rotate", "prod/reports-login", "--yes") // nobody knows whether the user has a password that's in use
	}
	rota("run")
	before := read(filepath.Join(dir, "keys.env"))
	rota("rotate", "prod/session-cookies", "--yes")
	if after := read(filepath.Join(dir, "keys.env")); after == before || !strings.Contains(after, "SECRET_KEY_PREVIOUS=") {
		t.Errorf("the file on the host: %s", after)
	}
	if log := read(filepath.Join(dir, "systemctl.log")); log != "reload shop\nreload shop\n" {
		t.Errorf("systemctl got %q", log)
	}
	if strings.Contains(example, "reports") {
		login := read(filepath.Join(dir, "login.env"))
		rota("rotate", "prod/reports-login", "--yes")
		if after := read(filepath.Join(dir, "login.env")); after == login || !strings.Contains(after, "username=reports") {
			t.Errorf("the login on this machine: %s", after)
		}
	}
	rota("rotate", "prod/deploy-key", "--yes")
	if keys := read(s.AuthorizedKeys()); strings.Count(keys, "rota:default") != 2 {
		t.Errorf("not the current and the previous key:\n%s", keys)
	}
	rota("deactivate", "prod/deploy-key", "--yes")
	if keys := read(s.AuthorizedKeys()); strings.Count(keys, "#rota-off# ") != 1 {
		t.Errorf("the previous key is still on:\n%s", keys)
	}
	rota("delete", "prod/deploy-key", "--yes")
	if keys := read(s.AuthorizedKeys()); strings.Count(keys, "\n") != 1 || !strings.Contains(read(filepath.Join(dir, "id_ed25519")), "OPENSSH PRIVATE KEY") {
		t.Errorf("not just the current key:\n%s", keys)
	}
}
