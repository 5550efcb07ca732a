//go:build unix

package daemon

import (
	"math"

	"golang.org/x/sys/unix"
)

// maxOpenFiles is how many files and connections the process may have open.
func maxOpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // signed on some systems
}
