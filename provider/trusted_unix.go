//go:build unix

package provider

import (
	"io/fs"
	"syscall"
)

const checksModes = true

// ownerOf is the user that a file belongs to, -1 if it isn't known.
func ownerOf(f fs.FileInfo) int {
	if s, ok := f.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
