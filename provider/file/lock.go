package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota"
)

// Targets that share a file, in this process or another, take turns by locking a
// file next to it that only this user can open. The folder or the file itself
// won't do: everyone who may read one of them could lock it, and keep Rota from
// delivering.

// lockName is the name of the file that is locked.
func (p *place) lockName() string { return "." + p.base + ".rota-lock" }

// lock waits for its turn.
func (p *place) lock(ctx context.Context) error {
	if !haveLocks {
		return ctx.Err()
	}
	for p.held == nil {
		if err := p.tryLock(ctx); err != nil {
			return fmt.Errorf("lock %s: %w", p.config.Path, err)
		}
	}
	return nil
}

// tryLock leaves p.held nil if the lock's holder removed the file when it was
// done: the one that was waited for is no longer in its place.
func (p *place) tryLock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, flag := p.lockName(), os.O_RDWR|noWait
	switch found, err := p.root.Lstat(name); {
	case err == nil && !isOwn(found):
		if err := p.remove(name); err != nil {
			return err
		}
		fallthrough
	case errors.Is(err, fs.ErrNotExist):
		flag |= os.O_CREATE | os.O_EXCL
	case err != nil:
		return err
	}
	f, err := p.root.OpenFile(name, flag, 0o600)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil // came or went just now
	} else if err != nil {
		return err
	}
	if err := flock(ctx, f); err != nil {
		return errors.Join(err, f.Close())
	}
	opened, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if there, err := p.root.Lstat(name); err != nil || !os.SameFile(there, opened) || !isOwn(opened) {
		return f.Close()
	}
	p.held = f
	return nil
}

// unlock removes the lock's file while it's still locked, and so leaves nothing
// behind.
func (p *place) unlock() {
	if p.held != nil {
		_ = p.root.Remove(p.lockName())
		_ = p.held.Close()
	}
}

// remove frees a name that Rota uses for itself.
func (p *place) remove(name string) error {
	if err := p.root.RemoveAll(name); err != nil {
		return rota.WithRemedies(fmt.Errorf("%s is in the way: %w", filepath.Join(filepath.Dir(p.config.Path), name), err),
			rota.Outside("remove it, and use a folder that only trusted users can write to"))
	}
	return nil
}

// isOwn reports whether only this user, besides root, can open the file.
func isOwn(f fs.FileInfo) bool {
	return f.Mode().IsRegular() && f.Mode().Perm()&0o077 == 0 && isMine(f)
}
