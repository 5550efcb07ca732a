//go:build linux || darwin || freebsd || netbsd || openbsd

package supervise

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Command is what to run.
type Command struct {
	Path  string   // the program's file
	Args  []string // its name and its arguments
	Env   []string
	Files [3]*os.File // its standard input, output and error output
}

// Forwarded are the signals that are passed on to a child.
func Forwarded() []os.Signal {
	return []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}
}

// Host starts children and waits for them. As the first process of a container, it
// also waits for what the children left behind.
type Host struct {
	reapAll    bool
	foreground bool // of a terminal, whose signals reach the child by themselves
	exited     chan os.Signal
	closed     chan struct{}

	mu       sync.Mutex
	children map[int]*process
}

// NewHost returns a host. Close ends it.
func NewHost() *Host {
	h := &Host{
		reapAll: os.Getpid() == 1, foreground: inForeground(),
		exited: make(chan os.Signal, 1), closed: make(chan struct{}), children: map[int]*process{},
	}
	signal.Notify(h.exited, syscall.SIGCHLD)
	go h.reap()
	return h
}

// Close stops waiting for children.
func (h *Host) Close() {
	signal.Stop(h.exited)
	close(h.closed)
}

// inForeground reports whether this process may read from its terminal.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer func() { _ = tty.Close() }()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// Start starts a child. It's in a process group of its own, unless a terminal has to
// know it as this one's.
func (h *Host) Start(c Command) (Process, error) {
	h.mu.Lock() // or it might be reaped before it's known
	defer h.mu.Unlock()
	p, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{Env: c.Env, Files: c.Files[:], Sys: &syscall.SysProcAttr{Setpgid: !h.foreground}})
	if err != nil {
		return nil, err
	}
	child := &process{pid: p.Pid, host: h, group: !h.foreground, done: make(chan Exit, 1)}
	_ = p.Release() // the reaper waits for it
	h.children[child.pid] = child
	return child, nil
}

// reap waits for children whenever the system says that some have ended.
func (h *Host) reap() {
	for {
		select {
		case <-h.closed:
			return
		case <-h.exited:
		}
		h.mu.Lock()
		if h.reapAll {
			for h.wait(-1) {
			}
		} else {
			for pid := range h.children {
				h.wait(pid)
			}
		}
		h.mu.Unlock()
	}
}

// wait takes the status of one process that has ended.
func (h *Host) wait(pid int) bool {
	var status unix.WaitStatus
	for {
		ended, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || ended <= 0 {
			return false
		}
		if child := h.children[ended]; child != nil && (status.Exited() || status.Signaled()) {
			delete(h.children, ended)
			e := Exit{Code: status.ExitStatus()}
			if status.Signaled() {
				e.Signal = status.Signal()
			}
			child.done <- e
		}
		return true
	}
}

type process struct {
	pid   int
	host  *Host
	group bool
	done  chan Exit
}

func (p *process) Done() <-chan Exit { return p.done }

func (p *process) Signal(s syscall.Signal) error {
	if !p.group && (s == syscall.SIGINT || s == syscall.SIGQUIT || s == syscall.SIGWINCH) {
		return nil // the terminal has sent it to the child as well
	}
	return p.send(p.pid, s)
}

func (p *process) Kill() {
	to := p.pid
	if p.group {
		to = -p.pid
	}
	_ = p.send(to, syscall.SIGKILL)
}

// send signals a child that hasn't been waited for: afterwards, its number may be
// another process's.
func (p *process) send(to int, s syscall.Signal) error {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if p.host.children[p.pid] != p {
		return os.ErrProcessDone
	}
	return syscall.Kill(to, s)
}

// Look finds a program as a shell would, and returns the exit code for one that
// can't be run.
func Look(name string) (path string, code int, err error) {
	path, err = exec.LookPath(name)
	switch {
	case err == nil:
		return path, 0, nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EISDIR):
		return "", ExitNotExecutable, err
	}
	return "", ExitNotFound, err
}

// SignalNamed returns the signal with a name such as HUP or SIGHUP; 0 for none.
func SignalNamed(name string) syscall.Signal {
	if s := unix.SignalNum(name); s != 0 {
		return s
	}
	return unix.SignalNum("SIG" + name)
}
