//go:build unix

package command

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes the program lead its own process group, so that it can be
// ended with all its children.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalFamily asks the program's process group to end, and everything else that
// carries the mark in its environment, or kills them.
func signalFamily(p *os.Process, mark string, force bool) error {
	signal := syscall.SIGTERM
	if force {
		signal = syscall.SIGKILL
	}
	err := syscall.Kill(-p.Pid, signal)
	for _, pid := range marked(mark) {
		_ = syscall.Kill(pid, signal) // it may have ended meanwhile
	}
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
