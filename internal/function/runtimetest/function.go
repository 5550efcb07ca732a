package runtimetest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Function is a deployed function. As in Lambda, its process lives from one
// invocation to the next, unless it exits or is killed.
type Function struct {
	t       testing.TB
	command []string
	env     []string
	// Timeout is how long one invocation can take. Defaults to a minute.
	Timeout time.Duration

	output lockedBuffer
	proc   *process
	usage  []Usage
}

// Usage is the resources that a process used.
type Usage struct {
	CPU    time.Duration // user and system
	MaxRSS int64         // bytes; 0 if it exited by itself
	Wall   time.Duration // from the start to the first request for an event
}

type process struct {
	cmd    *exec.Cmd
	server *server
	begun  time.Time
	ended  chan struct{}
}

// ARN is every function's ARN in these tests.
const ARN = "arn:aws:lambda:eu-central-1:123456789012:function:rota"

// Deploy creates a function from a program and its environment, "NAME=value".
// The process inherits nothing else from the test but PATH and HOME.
func Deploy(t testing.TB, env []string, command ...string) *Function {
	f := &Function{t: t, command: command, env: env, Timeout: time.Minute}
	t.Cleanup(f.Kill)
	return f
}

// Invoke sends one event and returns the response.
func (f *Function) Invoke(payload string) Response { return f.InvokeAs("", payload) }

// InvokeAs is Invoke with a request id. Lambda repeats the id when it retries
// an event.
func (f *Function) InvokeAs(id, payload string) Response {
	f.t.Helper()
	if f.proc == nil {
		f.start()
	}
	a, alive := f.proc.server.invoke([]byte(payload), id, f.Timeout, f.proc.ended)
	if !alive {
		f.Kill()
	}
	return a
}

func (f *Function) start() {
	f.t.Helper()
	s, err := newServer(ARN)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(f.command[0], f.command[1:]...)
	cmd.Dir = f.t.TempDir()
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir,
		"AWS_LAMBDA_RUNTIME_API=" + s.address, "AWS_LAMBDA_FUNCTION_NAME=rota", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
		"AWS_EC2_METADATA_DISABLED=true", "LAMBDA_TASK_ROOT=" + cmd.Dir,
	}, f.env...)
	cmd.Stdout, cmd.Stderr = &f.output, &f.output
	p := &process{cmd: cmd, server: s, begun: time.Now(), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		s.close()
		f.t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	f.proc = p
}

// Kill ends the process, as Lambda does when it's idle or out of time. The next
// invocation starts another.
func (f *Function) Kill() {
	if f.proc == nil {
		return
	}
	rss := maxRSS(f.proc.cmd.Process.Pid)
	_ = f.proc.cmd.Process.Kill()
	<-f.proc.ended
	f.proc.server.mu.Lock()
	wall := f.proc.server.firstPoll.Sub(f.proc.begun)
	f.proc.server.mu.Unlock()
	f.proc.server.close()
	state := f.proc.cmd.ProcessState
	f.usage = append(f.usage, Usage{CPU: state.UserTime() + state.SystemTime(), Wall: wall, MaxRSS: rss})
	f.proc = nil
}

// maxRSS is a running process's peak memory, in bytes; 0 if unknown. What wait4
// reports doesn't work: it includes the process that forked, which is the test.
func maxRSS(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

// Usage returns the usage of each process that has ended, in order.
func (f *Function) Usage() []Usage { return f.usage }

// Output is everything that the function's processes wrote to stdout and
// stderr.
func (f *Function) Output() string { return f.output.String() }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
