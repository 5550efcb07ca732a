package file_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/file"
)

// What lets files be written next to it, but not take its place.
func TestPreflightTriesTheReplacementItself(t *testing.T) {
	chattr := func(flag string, of func(path string) string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			run := func(sign string) error { return exec.Command("chattr", sign+flag, of(path)).Run() }
			if err := run("+"); err != nil {
				testenv.Missing(t, "chattr", err.Error()+": not as root, or not on this file system")
			}
			t.Cleanup(func() { _ = run("-") })
		}
	}
	self := func(path string) string { return path }
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"an immutable file":     {chattr("i", self), "is immutable (try: chattr -i"},
		"an append-only file":   {chattr("a", self), "is append-only (try: chattr -a"},
		"an append-only folder": {chattr("a", filepath.Dir), "is append-only, so nothing in it can be replaced (try: chattr -a"},
		"an immutable folder":   {chattr("i", filepath.Dir), "not permitted"},
		"a file that is mounted by itself": {func(t *testing.T, path string) {
			if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
				testenv.Missing(t, "mount", err.Error())
			}
			t.Cleanup(func() { _ = syscall.Unmount(path, 0) })
		}, "is mounted by itself, so no other file can take its place (try: mount its folder"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.json")
			if err := os.WriteFile(path, []byte(`{"other": 1}`), 0o600); err != nil {
				t.Fatal(err)
			}
			c := file.Config{Path: path, Format: file.JSON}
			target, err := file.New(c)
			if err != nil {
				t.Fatal(err)
			}
			if said := problems(t, target); said != "" {
				t.Errorf("before that, preflight says %q", said)
			}
			test.spoil(t, path)
			if said := problems(t, target); !strings.Contains(said, test.want) {
				t.Errorf("preflight says %q, want %q", said, test.want)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
			if err := deliver(t, c); err == nil {
				t.Error("the file was replaced all the same")
			}
		})
	}
}

// problems are the preflight's findings that aren't OK.
func problems(t *testing.T, target rota.Target) string {
	t.Helper()
	var all []string
	for _, f := range target.(rota.Preflighter).Preflight(t.Context()) {
		if !f.OK {
			all = append(all, hint.Add(f.Detail, f.Remedies))
		}
	}
	return strings.Join(all, "; ")
}

func TestAFullDiskIsFoundBeforehand(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		testenv.Missing(t, "mount", err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	path := filepath.Join(dir, "c.json")
	if err := os.WriteFile(path, []byte(`{"other": "`+strings.Repeat("x", 40<<10)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := file.New(file.Config{Path: path, Format: file.JSON})
	if err != nil {
		t.Fatal(err)
	}
	if said := problems(t, target); !strings.Contains(said, "no space left") {
		t.Errorf("preflight says %q", said)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
