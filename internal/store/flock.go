//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

const hasLocks = true

// lockFile locks an open file without waiting, exclusively or shared, and
// reports whether it succeeded. The lock belongs to the open file and ends when
// that is closed.
func lockFile(f *os.File, exclusive bool) (bool, error) {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case errors.Is(err, syscall.ENOLCK):
			return false, fmt.Errorf("lock %s: %w: %w", f.Name(), errors.ErrUnsupported, err)
		default:
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}
