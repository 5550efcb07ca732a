//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"io/fs"
	"syscall"
)

// writable reports, without writing, whether this process can create files in
// the folder.
func writable(folder string) error {
	const write, search = 2, 1
	if err := syscall.Access(folder, write|search); err != nil {
		return &fs.PathError{Op: "write", Path: folder, Err: err}
	}
	return nil
}
