//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package store

import (
	"errors"
	"os"
)

// This system has no locks that end with their process, so leases simply
// expire.
const hasLocks = false

func lockFile(*os.File, bool) (bool, error) { return false, errors.ErrUnsupported }
