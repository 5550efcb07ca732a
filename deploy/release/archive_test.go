package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// programs are those that were built, of one system or of all.
func programs(t *testing.T, system string) []string {
	t.Helper()
	built(t)
	var found []string
	for _, name := range []string{"rota", "rota.exe", "bootstrap"} {
		some, err := filepath.Glob(filepath.Join(dist, "*_"+system+"*_*", name))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, some...)
	}
	if len(found) == 0 {
		t.Fatalf("dist has no program for %s", system)
	}
	return found
}

// The list of hashes has all that's published but itself, and each hash is right.
func TestTheChecksumsAreComplete(t *testing.T) {
	text, err := os.ReadFile(one(t, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(text)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		listed = append(listed, name)
		content, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has another hash", name)
		}
	}
	var published []string
	for _, pattern := range []string{"*.tar.gz", "*.zip", "*.deb", "*.rpm", "*.cdx.json"} {
		found, err := filepath.Glob(filepath.Join(dist, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 && pattern != "*.zip" {
			t.Errorf("there's no %s", pattern)
		}
		for _, path := range found {
			published = append(published, filepath.Base(path))
		}
	}
	slices.Sort(listed)
	slices.Sort(published)
	if !slices.Equal(listed, published) {
		t.Errorf("SHA256SUMS lists\n%q, published are\n%q", listed, published)
	}
}

// The archive for this machine has the program and all that belongs to it.
func TestTheArchiveWorks(t *testing.T) {
	need(t, "tar", "bash")
	m := built(t)
	dir := t.TempDir()
	command(t, "tar", "-xzf", one(t, "rota_*_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz"), "-C", dir)
	dir = filepath.Join(dir, "rota_"+m.Version+"_"+runtime.GOOS+"_"+runtime.GOARCH)

	var version struct{ Version, Commit, Date, Platform string }
	if err := json.Unmarshal([]byte(command(t, filepath.Join(dir, "rota"), "version", "-o", "json")), &version); err != nil {
		t.Fatal(err)
	}
	if version.Version != m.Version || version.Commit != m.Commit || version.Platform != runtime.GOOS+"/"+runtime.GOARCH || version.Date == "" {
		t.Errorf("rota version says %+v, and it's %+v", version, m)
	}
	for _, name := range []string{"README.md", "LICENSE", "CHANGELOG.md", "rota.schema.json", "completions/rota.ps1"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for shell, file := range map[string]string{"bash": "rota.bash", "zsh": "_rota", "fish": "rota.fish"} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s isn't here to read its completions", shell)
			continue
		}
		command(t, shell, "-n", filepath.Join(dir, "completions", file))
	}
}

// man shows each page without a complaint, and they're dated like the commit.
func TestTheManualPagesRender(t *testing.T) {
	need(t, "tar", "man")
	dir := t.TempDir()
	command(t, "tar", "-xzf", one(t, "rota_*_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz"), "-C", dir)
	pages, err := filepath.Glob(filepath.Join(dir, "*", "man", "*.1"))
	if err != nil || len(pages) < 50 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		cmd := exec.CommandContext(t.Context(), "man", "--warnings", "--local-file", page)
		cmd.Env = append(os.Environ(), "MANROFFSEQ=", "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var problems strings.Builder
		cmd.Stderr = &problems
		out, err := cmd.Output()
		if err != nil || problems.Len() > 0 || !strings.Contains(string(out), "SYNOPSIS") {
			t.Errorf("man %s: %v\n%s", filepath.Base(page), err, problems.String())
		}
	}
}
