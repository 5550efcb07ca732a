//go:build unix

package testenv

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a server's process. It runs below a shell whose standard input closes
// when the tests end, even if they're killed; the shell then stops the server.
type child struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	input  io.Closer // closing it stops the server
	paused []int
}

// launch says how a server is run.
type launch struct {
	Name    string // what errors call the server
	Program string
	Args    []string
	Stdin   string // a file for the server to read; none by default
	Log     string // the file its output is appended to
	Stop    string // the signal that stops it: TERM, INT or KILL
	// Owner is the user to run it as: the tests' own if nil.
	Owner *syscall.Credential
	// Ready asks whether the server answers, and is called until it does.
	Ready func(context.Context) error
}

const (
	launchScript = `exec 3<&0; stop=$1 in=$2; shift 2
"$@" <"$in" 3<&- & pid=$!
cat <&3 >/dev/null; kill -"$stop" $pid 2>/dev/null; kill -CONT $pid 2>/dev/null; wait $pid`
	launchTimeout = 60 * time.Second
)

// start runs the server and waits until it's ready.
func (c *child) start(l launch) error {
	log, err := os.OpenFile(l.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	stdin := l.Stdin
	if stdin == "" {
		stdin = os.DevNull
	}
	cmd := asOwner(l.Owner, "sh", append([]string{"-c", launchScript, "sh", l.Stop, stdin, l.Program}, l.Args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.cmd, c.input = cmd, input
	c.mu.Unlock()
	return l.wait()
}

// asOwner is a command in a session of its own, so that the tests can clean up
// first when they're interrupted.
func asOwner(owner *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = os.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: owner}
	return cmd
}

func (l launch) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := l.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(l.Log)
			return fmt.Errorf("%s did not start: %w\n%s", l.Name, err, log)
		case <-tick.C:
		}
	}
}

// end stops the server and waits for its end.
func (c *child) end() {
	c.Resume()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return
	}
	_ = c.input.Close()
	_ = c.cmd.Wait()
	c.cmd = nil
}

// pause stops processes of the server, so that it hangs: it accepts connections,
// but answers nothing until Resume.
func (c *child) pause(pids ...int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = pids
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return fmt.Errorf("pause process %d: %w", pid, err)
		}
	}
	for _, pid := range pids {
		if err := stopped(pid); err != nil {
			return err
		}
	}
	return nil
}

// Resume undoes Pause.
func (c *child) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pid := range c.paused {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	c.paused = nil
}

// stopped waits until no thread of a process runs any more: the signal's sender
// doesn't wait for that, and a thread that still ran would answer.
func stopped(pid int) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		running, err := threads(pid, func(state string) bool { return !slices.Contains([]string{"T", "t", "Z", "X"}, state) })
		if err != nil || running == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d threads of process %d still run", running, pid)
		}
	}
}

// threads counts a process's threads by their state, as proc(5) names it. Where
// there's no /proc, there are none.
func threads(pid int, counts func(state string) bool) (int, error) {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		_, after, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
		if state, _, _ := strings.Cut(after, " "); counts(state) {
			n++
		}
	}
	return n, err
}
