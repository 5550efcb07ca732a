//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package supervise

import (
	"errors"
	"os"
	"syscall"
)

// Command is what to run.
type Command struct {
	Path  string
	Args  []string
	Env   []string
	Files [3]*os.File
}

// Forwarded are the signals that are passed on to a child.
func Forwarded() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// Host can't start children on this system.
type Host struct{}

// NewHost returns a host.
func NewHost() *Host { return &Host{} }

// Close does nothing.
func (*Host) Close() {}

var errSystem = errors.New("programs can't be run on this system: it has no signals to pass on")

// Start fails.
func (*Host) Start(Command) (Process, error) { return nil, errSystem }

// Look fails.
func Look(string) (path string, code int, err error) { return "", ExitNotExecutable, errSystem }

// SignalNamed knows no names.
func SignalNamed(string) syscall.Signal { return 0 }
