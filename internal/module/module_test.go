package module_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// command runs go offline, with what the module cache has.
func command(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "GOBIN="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// root is the folder of this module, and its path as go.mod has it.
func root(t *testing.T) (dir, path string) {
	t.Helper()
	return command(t, ".", "list", "-m", "-f", "{{.Dir}}"), command(t, ".", "list", "-m")
}

// What go.mod of this module requires is what a module that requires it needs.
func outside(t *testing.T) string {
	t.Helper()
	repository, path := root(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/user")); err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := bytes.Replace(ours, []byte("module "+path), []byte("module example.com/user"), 1)
	sums, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"go.mod": theirs, "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, dir, "mod", "edit", "-require="+path+"@v0.0.0", "-replace="+path+"="+repository)
	return dir
}

func TestAnotherModuleCanRequireThisOne(t *testing.T) {
	dir := outside(t)
	const want = "create\ntest\npromote\ndeliver\nverified: true\nproviders: true"
	if got := command(t, dir, "run", "-trimpath", "."); got != want {
		t.Errorf("the program said:\n%s\nwant:\n%s", got, want)
	}
	command(t, dir, "test", "-trimpath", ".")
}

func TestTheCommandCanBeInstalled(t *testing.T) {
	repository, _ := root(t)
	bin := t.TempDir()
	t.Setenv("GOBIN", bin)
	cmd := exec.CommandContext(t.Context(), "go", "install", "-trimpath", "./cmd/rota")
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "rota"), "version").CombinedOutput()
	if err != nil || !bytes.HasPrefix(out, []byte("rota ")) {
		t.Errorf("%v: %s", err, out)
	}
}
