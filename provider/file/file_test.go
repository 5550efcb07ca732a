package file_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/provider/providertest"
)

var key = rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIAIOSFODNN7EXAMPLE", rota.FieldSecretAccessKey: "wJalrXUtnFEMI/K7MDENG"})

var request = rota.DeliverRequest{Secret: "test/secret", Version: "rota-1", Credential: key}

func deliver(t *testing.T, c file.Config) error {
	t.Helper()
	target, err := file.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return target.Deliver(t.Context(), request)
}

func TestTheTargetKeepsTheContract(t *testing.T) {
	fields, err := rota.ParseFieldMap(map[string]string{"ID": rota.FieldAccessKeyID, "SECRET": rota.FieldSecretAccessKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for format, read := range map[string]func([]byte) (map[string]string, error){
		file.JSON: func(content []byte) (map[string]string, error) {
			values := map[string]string{}
			return values, json.Unmarshal(content, &values)
		},
		file.Dotenv:         func(content []byte) (map[string]string, error) { return pairs(content, "=") },
		file.AWSCredentials: func(content []byte) (map[string]string, error) { return pairs(content, " = ") },
	} {
		t.Run(format, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				path := filepath.Join(t.TempDir(), "credentials")
				target, err := file.New(file.Config{Path: path, Format: format, Fields: fields})
				if err != nil {
					t.Fatal(err)
				}
				return providertest.TargetFixture{
					Target: target,
					Read: func() (rota.Credential, bool, error) {
						content, err := os.ReadFile(path)
						if errors.Is(err, fs.ErrNotExist) {
							return rota.Credential{}, false, nil
						}
						if err != nil {
							return rota.Credential{}, false, err
						}
						values, err := read(content)
						for name, value := range values { // the SDKs' names have no case
							delete(values, name)
							values[strings.ToUpper(name)] = value
						}
						return fields.Read(values), true, err
					},
					Writes: writes(t, path),
				}
			})
		})
	}
}

func pairs(content []byte, separator string) (map[string]string, error) {
	values := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), separator); ok {
			values[name] = value
		} else if line != "[default]\n" {
			return nil, fmt.Errorf("torn: %q", line)
		}
	}
	return values, nil
}

// writes counts how often another file was found in the path's place.
func writes(t *testing.T, path string) func() int {
	n, last := 0, ""
	return func() int {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if now := fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano()); now != last {
			n, last = n+1, now
		}
		return n
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	for name, c := range map[string]file.Config{
		"a relative path":                {Path: "x/credentials", Format: file.JSON},
		"no path":                        {Format: file.JSON},
		"a folder":                       {Path: "/etc/", Format: file.JSON},
		"an unknown format":              {Path: "/x", Format: "toml"},
		"no format":                      {Path: "/x"},
		"a profile outside AWS's format": {Path: "/x", Format: file.JSON, Profile: "app"},
		"a profile that breaks out":      {Path: "/x", Format: file.AWSCredentials, Profile: "a]\n[b"},
		"a mode that all may write":      {Path: "/x", Format: file.JSON, Mode: 0o666},
		"a mode with more than rights":   {Path: "/x", Format: file.JSON, Mode: fs.ModeSetuid | 0o600},
	} {
		if _, err := file.New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

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

func TestWhatCannotBeReplacedIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(elsewhere, []byte(`{}`), 0o600),
		os.Symlink(elsewhere, at("link")),
		os.Symlink(at("nowhere"), at("dangling")),
		os.Mkdir(at("folder"), 0o700),
		os.WriteFile(at("broken"), []byte(`{"other": "hush`), 0o600),
		os.WriteFile(at("huge"), make([]byte, 2<<20), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, path, want string }{
		{"a link", at("link"), "symbolic link"},
		{"a link to nothing", at("dangling"), "symbolic link"},
		{"a folder", at("folder"), "not a regular file"},
		{"content that is no JSON", at("broken"), "not valid JSON"},
		{"a huge file", at("huge"), "too large"},
		{"no folder", filepath.Join(dir, "none", "x"), "(try: create the folder"},
		{"a file for a folder", filepath.Join(elsewhere, "x"), "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := deliver(t, file.Config{Path: c.path, Format: file.JSON})
			if err == nil || !strings.Contains(hint.Text(err), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			if class := rota.ClassOf(err); class != rota.ClassStop {
				t.Errorf("class %q", class)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error shows the file's content: %v", err)
			}
			target, _ := file.New(file.Config{Path: c.path, Format: file.JSON})
			for _, f := range target.(rota.Preflighter).Preflight(t.Context()) {
				if !f.OK && rota.Hint(f.Remedies) != "" {
					return
				}
			}
			t.Error("preflight has nothing to say about it")
		})
	}
	if content, err := os.ReadFile(elsewhere); err != nil || string(content) != `{}` {
		t.Errorf("the link's target was written: %q %v", content, err)
	}
	if content, err := os.ReadFile(at("broken")); err != nil || string(content) != `{"other": "hush` {
		t.Errorf("the broken file was written: %q %v", content, err)
	}
	left, err := filepath.Glob(at(".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWhatACrashLeftBehindIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.json")
	if err := os.WriteFile(filepath.Join(dir, ".c.json.rota-new"), []byte("half a secr"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, file.Config{Path: path, Format: file.JSON}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestTargetsThatShareAFileLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	const n = 12
	var group sync.WaitGroup
	for k := range n {
		group.Go(func() {
			fields, err := rota.ParseFieldMap(map[string]string{fmt.Sprintf("KEY_%02d", k): rota.FieldSecretAccessKey}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := deliver(t, file.Config{Path: path, Format: file.Dotenv, Fields: fields}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(content), "\n"); got != n {
		t.Errorf("%d of %d lines:\n%s", got, n, content)
	}
}

// TestAnOrdinaryUser checks what is refused to a user that may not do
// everything. Root may, and so runs this test's program again as nobody.
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

func refusals(t *testing.T, dir string) {
	for _, c := range []struct {
		config file.Config
		want   string
	}{
		{file.Config{Path: dir + "/closed/c.json", Format: file.JSON}, "run it as the file's owner"},
		{file.Config{Path: dir + "/open/sealed.json", Format: file.JSON}, "permission denied"},
		{file.Config{Path: dir + "/open/new.json", Format: file.JSON, Owner: "0"}, "user 0"},
		{file.Config{Path: dir + "/sticky/c.json", Format: file.JSON, Owner: "65534"}, "operation not permitted"},
	} {
		if err := deliver(t, c.config); err == nil || !strings.Contains(hint.Text(err), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.config.Path, c.want, err)
		}
		target, _ := file.New(c.config)
		bad := false
		for _, f := range target.(rota.Preflighter).Preflight(t.Context()) {
			bad = bad || !f.OK && rota.Hint(f.Remedies) != ""
		}
		if !bad {
			t.Errorf("%s: preflight finds all in order", c.config.Path)
		}
	}
	if err := deliver(t, file.Config{Path: dir + "/open/mine.json", Format: file.JSON}); err != nil {
		t.Error(err)
	}
}
