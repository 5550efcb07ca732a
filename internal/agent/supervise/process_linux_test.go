package supervise

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start starts a shell.
func start(t *testing.T, h *Host, script string, args ...string) Process {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	p, err := h.Start(Command{Path: "/bin/sh", Args: append([]string{"sh", "-c", script, "sh"}, args...), Env: os.Environ(), Files: [3]*os.File{null, null, null}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ended(t *testing.T, p Process) Exit {
	t.Helper()
	select {
	case e := <-p.Done():
		return e
	case <-time.After(time.Minute):
		t.Fatal("the child doesn't end")
		return Exit{}
	}
}

// read waits for a file's content.
func read(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), "\n") {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("%s doesn't appear", path)
	return ""
}

// gone waits until there's no such process, dead ones that nobody waits for included.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
	}
	t.Fatalf("process %d is still there", pid)
}

func TestAChildsExitIsItsOwn(t *testing.T) {
	h := NewHost()
	defer h.Close()
	if e := ended(t, start(t, h, "exit 42")); e.Status() != 42 {
		t.Errorf("%+v", e)
	}
	p := start(t, h, "kill -INT $$")
	if e := ended(t, p); e.Status() != 130 {
		t.Errorf("%+v", e)
	}
	if err := p.Signal(syscall.SIGTERM); err == nil {
		t.Error("a child that's gone was signaled")
	}
}

func TestKillReachesTheWholeGroup(t *testing.T) {
	h := NewHost()
	defer h.Close()
	h.foreground = false
	pids := filepath.Join(t.TempDir(), "pids")
	p := start(t, h, `trap "" TERM; sleep 600 & echo $! > "$1"; wait; sleep 600`, pids)
	grandchild, err := strconv.Atoi(read(t, pids))
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if e := ended(t, p); e.Status() != 137 {
		t.Errorf("%+v", e)
	}
	gone(t, grandchild)
}

// As the first process of a container, the host gets what others have left behind.
// A subreaper gets it as well, so this test makes itself one, in a process of its own.
func TestOrphansAreWaitedFor(t *testing.T) {
	if os.Getenv("ROTA_TEST_SUBREAPER") == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestOrphansAreWaitedFor$", "-test.v")
		c.Env = append(os.Environ(), "ROTA_TEST_SUBREAPER=1")
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "the orphan was waited for") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	h := NewHost()
	defer h.Close()
	h.mu.Lock()
	h.reapAll = true
	h.mu.Unlock()
	pids := filepath.Join(t.TempDir(), "pids")
	p := start(t, h, `(sh -c 'echo $$ > "$1"; sleep 0.2' sh "$1" &) ; exit 5`, pids)
	orphan, err := strconv.Atoi(read(t, pids))
	if err != nil {
		t.Fatal(err)
	}
	if e := ended(t, p); e.Status() != 5 {
		t.Errorf("%+v", e)
	}
	gone(t, orphan)
	t.Log("the orphan was waited for")
}

func TestProgramsThatCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"no-such-program": 127, dir + "/none": 127, dir + "/data": 126, dir: 126, "sh": 0} {
		if _, code, err := Look(name); code != want || (err == nil) != (want == 0) {
			t.Errorf("%s: code %d, %v; want %d", name, code, err, want)
		}
	}
	for name, want := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "SIGUSR2": syscall.SIGUSR2, "NONE": 0} {
		if got := SignalNamed(name); got != want {
			t.Errorf("signal %s is %v", name, got)
		}
	}
}
