//go:build unix

package file_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rota-dev/rota/provider/file"
)

func TestModeAndOwnerAreSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.json")
	config := file.Config{Path: path, Format: file.JSON}
	stat := func() (fs.FileMode, uint32, uint32) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		s := info.Sys().(*syscall.Stat_t)
		return info.Mode().Perm(), s.Uid, s.Gid
	}
	expect := func(what string, mode fs.FileMode, uid, gid int) {
		t.Helper()
		if err := deliver(t, config); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if m, u, g := stat(); m != mode || u != uint32(uid) || g != uint32(gid) {
			t.Errorf("%s: mode %#o, user %d, group %d", what, m, u, g)
		}
	}
	expect("a new file", 0o600, os.Geteuid(), os.Getegid())
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	config.Mode = 0o640
	expect("the same content with a narrower mode", 0o640, os.Geteuid(), os.Getegid())
	if os.Geteuid() == 0 {
		config.Owner, config.Group = "65534", "1"
		expect("another owner by number", 0o640, 65534, 1)
		config.Owner, config.Group = "", ""
		expect("nobody named: the owner stays", 0o640, 65534, 1)
		config.Owner, config.Group = "root", "root"
		expect("an owner by name", 0o640, 0, 0)
	} else { // only root gives files away
		config.Owner = "0"
		if err := deliver(t, config); err == nil || !strings.Contains(err.Error(), "user 0") {
			t.Errorf("a file is given to root: want an error with %q, got %v", "user 0", err)
		}
		config.Owner = ""
		expect("after a refusal the owner stays", 0o640, os.Geteuid(), os.Getegid())
	}
	config.Owner = "no-such-user-here"
	if err := deliver(t, config); err == nil || !strings.Contains(err.Error(), "no-such-user-here") {
		t.Errorf("an unknown owner: %v", err)
	}
}

func TestAnOrdinaryUser(t *testing.T) {
	const variable = "ROTA_TEST_FILE_AS_NOBODY"
	if dir := os.Getenv(variable); dir != "" {
		refusals(t, dir)
		return
	}
	dir, err := os.MkdirTemp("", "rota-file")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Chmod(dir, 0o755),
		os.WriteFile(dir+"/test", program, 0o755),
		os.Mkdir(dir+"/closed", 0o555),
		os.Mkdir(dir+"/sticky", 0o755), os.Chmod(dir+"/sticky", 0o777|fs.ModeSticky),
		os.WriteFile(dir+"/sticky/c.json", []byte("{}"), 0o666), os.Chmod(dir+"/sticky/c.json", 0o666), os.Chown(dir+"/sticky/c.json", -1, 65534),
		os.Mkdir(dir+"/open", 0o700), os.Chmod(dir+"/open", 0o777),
		os.WriteFile(dir+"/open/sealed.json", []byte("{}"), 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		refusals(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), dir+"/test", "-test.run=^TestAnOrdinaryUser$", "-test.count=1")
	cmd.Dir = dir
	cmd.Env = []string{variable + "=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
