//go:build linux || darwin || freebsd || netbsd || openbsd

package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	haveLocks = true
	noWait    = syscall.O_NONBLOCK // opening a FIFO doesn't wait for its writer
)

// flock waits until no other target or process has the file locked. Closing it
// releases it. If the file system has no locks, it does without.
func flock(ctx context.Context, file *os.File) error {
	const between = 5 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOSYS):
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		}
		timer.Reset(between)
	}
}

func ownerOf(f fs.FileInfo) owner {
	if s, ok := f.Sys().(*syscall.Stat_t); ok {
		return owner{int(s.Uid), int(s.Gid)}
	}
	return owner{-1, -1}
}

// links is how many names the file has.
func links(f fs.FileInfo) int {
	if s, ok := f.Sys().(*syscall.Stat_t); ok {
		return int(s.Nlink)
	}
	return 1
}

// isStickyFor reports whether the folder's sticky bit keeps this process from
// replacing a file in it.
func isStickyFor(folder, file fs.FileInfo) bool {
	me := os.Geteuid()
	return folder.Mode()&fs.ModeSticky != 0 && me != 0 && ownerOf(file).uid != me && ownerOf(folder).uid != me
}

// writable reports, without writing, whether this process may create files in
// the folder.
func writable(folder string) error {
	const write, search = 2, 1
	if err := syscall.Access(folder, write|search); err != nil {
		return &fs.PathError{Op: "write", Path: folder, Err: err}
	}
	return nil
}

// mayGive reports whether this process may change its files' owner to this one.
func mayGive(o owner) bool {
	if os.Geteuid() == 0 {
		return true
	}
	if o.uid >= 0 && o.uid != os.Geteuid() {
		return false
	}
	if o.gid < 0 || o.gid == os.Getegid() {
		return true
	}
	groups, err := os.Getgroups()
	if err != nil {
		return false
	}
	return slices.Contains(groups, o.gid)
}
