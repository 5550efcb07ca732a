package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The same commit, checked out elsewhere, gives the same files and the same image, to
// the byte.
func TestTheReleaseIsReproducible(t *testing.T) {
	need(t, "git", "make")
	m := built(t)
	const root = "../.."
	if head := strings.TrimSpace(command(t, "git", "-C", root, "rev-parse", "HEAD")); head != m.Commit {
		t.Fatalf("dist is commit %s, and the checkout is %s (try: make release-snapshot)", m.Commit, head)
	}
	if changed := command(t, "git", "-C", root, "status", "--porcelain"); changed != "" {
		t.Fatalf("the checkout has changes, with which dist may have been built (try: git commit):\n%s", changed)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	command(t, "git", "clone", "--quiet", "--no-hardlinks", root, elsewhere)
	command(t, "git", "-C", elsewhere, "checkout", "--quiet", "--detach", m.Commit)
	args := []string{"-C", elsewhere, "release-snapshot"}
	if !strings.Contains(m.Version, "-snapshot.") {
		args = []string{"-C", elsewhere, "release", "PUBLISH=no"}
	} else if systems, _ := filepath.Glob(filepath.Join(dist, "*.tar.gz")); len(systems) == 1 {
		_, target, _ := strings.Cut(strings.TrimSuffix(filepath.Base(systems[0]), ".tar.gz"), m.Version+"_")
		args = append(args, "TARGET="+target)
	}
	cmd := exec.CommandContext(t.Context(), "make", args...)
	cmd.Env = append(os.Environ(), "TZ=Asia/Tokyo") // unlike the first
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, name := range []string{"SHA256SUMS", "image.digest"} {
		first, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(elsewhere, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Errorf("%s differs:\n%s\nand elsewhere:\n%s", name, first, second)
		}
	}
}
