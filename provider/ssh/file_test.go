package ssh

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/fileformat"
	"github.com/rota-dev/rota/provider/providertest"
)

func fileAt(t testing.TB, c *Connection, path string) *file {
	t.Helper()
	return fileWith(t, c, FileConfig{Path: path})
}

func fileWith(t testing.TB, c *Connection, cfg FileConfig) *file {
	t.Helper()
	if cfg.Content.Format == "" {
		cfg.Content.Format = fileformat.JSON
	}
	target, err := c.File(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return target.(*file)
}

var pair = rota.NewCredential(map[string]string{"username": "orders", "password": "hush-4Kd91'x"})

func deliver(t testing.TB, target *file) error {
	return target.Deliver(t.Context(), rota.DeliverRequest{Secret: "s", Version: "v", Credential: pair})
}

func TestTheFileKeepsTheContract(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{Gate: true})
	providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
		path := filepath.Join(homeDir(t), "credentials.json")
		return providertest.TargetFixture{
			Target: fileAt(t, to(t, s), path), Inject: injectAt(t, s, map[string][]string{"deliver": {"read", "replace"}}),
			Read: func() (rota.Credential, bool, error) {
				text, err := os.ReadFile(path)
				if errors.Is(err, fs.ErrNotExist) {
					return rota.Credential{}, false, nil
				}
				var fields map[string]string
				if err == nil {
					err = json.Unmarshal(text, &fields)
				}
				return rota.NewCredential(fields), true, err
			},
		}
	})
}

func TestAFileKeepsItsModeAndOwnerAndItsOtherContent(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	for name, test := range map[string]struct {
		mode, configured, want fs.FileMode
	}{
		"a new file":                       {0, 0, 0o600},
		"a new file with a mode":           {0, 0o640, 0o640},
		"an existing file":                 {0o640, 0, 0o640},
		"one that everybody could read":    {0o644, 0, 0o640},
		"one with less than configured":    {0o400, 0o640, 0o400},
		"one that the mode takes from":     {0o660, 0o640, 0o640},
		"one that only its owner may read": {0o600, 0, 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(homeDir(t), "app's $(id) file.json")
			if test.mode != 0 {
				write(t, path, `{"other": 1}`, test.mode)
			}
			target := fileWith(t, c, FileConfig{Path: path, Mode: test.configured})
			if err := deliver(t, target); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != test.want {
				t.Errorf("mode %v (%v), want %v", info.Mode(), err, test.want)
			}
			text := read(t, path)
			if !strings.Contains(text, "hush-4Kd91'x") || test.mode != 0 && !strings.Contains(text, `"other": 1`) {
				t.Errorf("the file is %s", text)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
				t.Errorf("something is left behind: %v", left)
			}
			if err := deliver(t, target); err != nil {
				t.Fatal(err)
			}
			if again, _ := os.Stat(path); !os.SameFile(info, again) {
				t.Error("what was there already was written again")
			}
		})
	}
}

func TestPlacesThatAStrangerMayHavePrepared(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	root := os.Geteuid() == 0
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string) string
		words   string
	}{
		"a link in place of the file": {func(t *testing.T, dir string) string {
			symlink(t, "/etc/passwd", filepath.Join(dir, "f"))
			return filepath.Join(dir, "f")
		}, "symbolic link"},
		"a link on the way": {func(t *testing.T, dir string) string {
			_ = os.Mkdir(filepath.Join(dir, "real"), 0o755)
			symlink(t, "real", filepath.Join(dir, "app"))
			return filepath.Join(dir, "app", "f")
		}, "/real/f"},
		"a folder that others can write to": {func(t *testing.T, dir string) string {
			_ = os.Chmod(dir, 0o777)
			return filepath.Join(dir, "f")
		}, "chmod go-w"},
		"a folder with the sticky bit": {func(t *testing.T, dir string) string {
			_ = os.Chmod(dir, 0o777|fs.ModeSticky)
			return filepath.Join(dir, "f")
		}, "chmod go-w"},
		"a folder above that others can write to": {func(t *testing.T, dir string) string {
			_ = os.Mkdir(filepath.Join(dir, "app"), 0o755)
			_ = os.Chmod(dir, 0o777)
			return filepath.Join(dir, "app", "f")
		}, "chmod go-w"},
		"somebody else's folder": {func(t *testing.T, dir string) string {
			if err := os.Chown(dir, 4321, 4321); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "f")
		}, "belongs to user 4321"},
		"a second name": {func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "g"), "{}", 0o600)
			if err := os.Link(filepath.Join(dir, "g"), filepath.Join(dir, "f")); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "f")
		}, "2 names of the same file"},
		"a folder in place of the file": {func(t *testing.T, dir string) string {
			_ = os.Mkdir(filepath.Join(dir, "f"), 0o755)
			return filepath.Join(dir, "f")
		}, "not a regular file"},
		"a file that's too large": {func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "f"), strings.Repeat(" ", fileformat.MaxSize+1), 0o600)
			return filepath.Join(dir, "f")
		}, "too large"},
		"no folder": {func(_ *testing.T, dir string) string { return filepath.Join(dir, "none", "f") }, "does not exist"},
		"content that can't be kept": {func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "f"), "[1]", 0o600)
			return filepath.Join(dir, "f")
		}, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "somebody else's folder" && !root {
				testenv.Missing(t, "root", "only root can give folders away")
			}
			path := test.prepare(t, homeDir(t))
			target := fileAt(t, c, path)
			err := deliver(t, target)
			wantError(t, err, rota.ClassStop, test.words)
			if strings.Contains(fmt.Sprint(err), "hush") {
				t.Errorf("the error has the value: %v", err)
			}
			findings := target.Preflight(t.Context())
			if last := findings[len(findings)-1]; last.OK || len(last.Remedies) == 0 {
				t.Errorf("a preflight finds no fault: %+v", findings)
			}
		})
	}
}

func symlink(t testing.TB, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func TestSomebodyElsesChangeIsKept(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	path := filepath.Join(homeDir(t), "f")
	write(t, path, "old", 0o600)
	p := place{path: path}
	n := c.nodes[0]
	f, err := p.read(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "theirs", 0o600)
	if err := p.write(t.Context(), n, f, []byte("ours"), false); !errors.Is(err, errChanged) {
		t.Errorf("an editor's change was overwritten: %v", err)
	}
	if got := read(t, path); got != "theirs" {
		t.Errorf("the file is %q", got)
	}
	// From what it has become, Rota goes on.
	edits := 0
	if err := p.change(t.Context(), n, func(f *found) ([]byte, error) {
		if edits++; edits == 1 {
			write(t, path, "theirs again", 0o600)
		}
		return append(f.content, " and ours"...), nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "theirs again and ours" {
		t.Errorf("the file is %q", got)
	}
}

func TestWhatACrashLeavesBehindIsCleanedUp(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	dir := homeDir(t)
	path := filepath.Join(dir, "f.json")
	const dead = "999999999"
	write(t, filepath.Join(dir, ".f.json.rota-new."+dead), "half a value", 0o600)
	if err := os.Mkdir(filepath.Join(dir, ".f.json.rota-lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".f.json.rota-lock", "pid"), dead+"\n", 0o600)
	if err := deliver(t, fileAt(t, to(t, s), path)); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileOnSeveralHosts(t *testing.T) {
	a, b := testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{})
	path := filepath.Join(homeDir(t), "f.json")
	target := fileAt(t, to(t, a, b), path)
	a.Stop()
	err := deliver(t, target)
	wantError(t, err, rota.ClassWait, a.Addr)
	if strings.Contains(err.Error(), b.Addr) {
		t.Error(err)
	}
	if !strings.Contains(read(t, path), "hush-4Kd91") {
		t.Error("a host that can't be reached kept the others from getting the value")
	}
}

func TestChecksumIsThatOfTheTool(t *testing.T) {
	for content, want := range map[string]string{"": "4294967295 0", "123456789": "930766865 9", "hello\n": "3015617425 6"} {
		if got := checksum([]byte(content)); got != want {
			t.Errorf("%q: %s, want %s", content, got, want)
		}
	}
}
