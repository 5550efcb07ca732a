package release

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dist is what make release-snapshot has built.
const dist = "../../dist"

// metadata is what goreleaser says about a build.
type metadata struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

func built(t *testing.T) metadata {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dist, "metadata.json"))
	if err != nil {
		t.Fatalf("nothing to test (try: make release-snapshot TARGET=linux_amd64): %v", err)
	}
	var m metadata
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// one is the one file of dist that a pattern names.
func one(t *testing.T, pattern string) string {
	t.Helper()
	built(t)
	found, err := filepath.Glob(filepath.Join(dist, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("dist has %v for %s, and not one file", found, pattern)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// missing leaves out a test whose means aren't there, unless all must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("ROTA_REQUIRE") == "all" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("missing: %s", what)
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing(t, p)
		}
	}
}

// command runs a program and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
