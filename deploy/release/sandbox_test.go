package release

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A sandbox is a shell as root in mounts of its own. What it changes is gone when the
// test ends.
type sandbox struct {
	in  io.Writer
	out *bufio.Reader
}

// newSandbox starts the shell with a script, whose last command replaces it or reads
// on from its standard input.
func newSandbox(t *testing.T, script string) *sandbox {
	t.Helper()
	need(t, "unshare", "chroot")
	if os.Getuid() != 0 {
		missing(t, "root, for mounts of one's own")
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &sandbox{in: in, out: bufio.NewReader(out)}
}

// debian is this machine's own system, with a layer above it that takes every change.
func debian(t *testing.T) *sandbox {
	t.Helper()
	return newSandbox(t, fmt.Sprintf(`
		mount -t tmpfs none '%[1]s'
		mkdir '%[1]s/upper' '%[1]s/work' '%[1]s/root'
		mount -t overlay overlay -o 'lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work' '%[1]s/root'
		mount --rbind /dev '%[1]s/root/dev'
		mount -t proc proc '%[1]s/root/proc'
		exec chroot '%[1]s/root' sh`, t.TempDir()))
}

// try runs a script in the shell, and returns what it prints and its exit code.
func (s *sandbox) try(t *testing.T, script string) (string, string) {
	t.Helper()
	const end = "--- the end: "
	if _, err := fmt.Fprintf(s.in, "( set -eu\n%s\n) 2>&1 </dev/null\ncode=$?; echo; echo \"%s$code\"\n", script, end); err != nil {
		t.Fatalf("the sandbox is gone: %v", err)
	}
	var text strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			t.Fatalf("the sandbox is gone: %v\n%s", err, text.String())
		}
		if code, found := strings.CutPrefix(line, end); found {
			return strings.TrimSuffix(text.String(), "\n"), strings.TrimSpace(code)
		}
		text.WriteString(line)
	}
}

// run is try for a script that must succeed.
func (s *sandbox) run(t *testing.T, script string) string {
	t.Helper()
	out, code := s.try(t, script)
	if code != "0" {
		t.Fatalf("%s\nexit code %s:\n%s", script, code, out)
	}
	return strings.TrimSpace(out)
}
