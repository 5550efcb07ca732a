package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/gofrs/flock"
)

// holdersDir has one lock file for each open store, named by its id.
const holdersDir = "holders"

// instance is one open store, identified by a file that it holds a lock on. The
// kernel drops the lock when the process dies, however it dies, and other
// containers that share the folder can see that too, where process ids mean
// nothing. A process that is merely stopped keeps its lock.
type instance struct {
	dir  string
	name string       // "" if this system has no such locks
	lock *flock.Flock // nil without an id
}

// newInstance creates and locks a lock file, and removes stale ones.
func newInstance(dataDir string) (*instance, error) {
	in := &instance{dir: filepath.Join(dataDir, holdersDir)}
	if runtime.GOOS == "windows" {
		return in, nil // a file that's open can't be removed: leases expire
	}
	if err := os.Mkdir(in.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := checkPrivate(in.dir); err != nil {
		return nil, err
	}
	for in.lock == nil {
		if err := in.create(); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK) {
			return in, nil // a system or file system without locks: leases expire
		} else if err != nil {
			return nil, err
		}
	}
	in.removeStale()
	return in, nil
}

// create creates a lock file and locks it. Another process may find the file
// before it is locked and remove it as stale; lock then stays nil.
func (in *instance) create() error {
	id := rand.Text()
	lock := flock.New(in.path(id), flock.SetFlag(os.O_RDWR|os.O_CREATE|os.O_EXCL), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if held {
		mine, statErr := lock.Stat()
		there, lstatErr := os.Lstat(in.path(id))
		if statErr == nil && lstatErr == nil && os.SameFile(mine, there) {
			in.name, in.lock = id, lock
			return nil
		}
	}
	_ = os.Remove(in.path(id)) // at worst the next sweep removes it
	return errors.Join(err, lock.Close())
}

func (in *instance) id() string { return in.name }

// removeStale removes the lock files of dead processes.
func (in *instance) removeStale() {
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		return // they're harmless
	}
	for _, e := range entries {
		if e.Name() != in.name {
			in.dead(e.Name())
		}
	}
}

// dead reports whether the process of another open store is certainly dead, or
// has closed it. It removes that process's file; an absent file means the same.
// If in doubt the process counts as alive, and its leases expire.
func (in *instance) dead(id string) bool {
	if id == "" || id == in.name || in.lock == nil {
		return false
	}
	lock := flock.New(in.path(id), flock.SetFlag(os.O_RDWR))
	defer func() { _ = lock.Close() }()
	// Shared, so that two concurrent checks don't mistake each other for the
	// owner.
	free, err := lock.TryRLock()
	if err != nil || !free {
		return errors.Is(err, fs.ErrNotExist)
	}
	_ = os.Remove(in.path(id))
	return true
}

// close drops the lock, and with it all leases that weren't released.
func (in *instance) close() error {
	if in.lock == nil {
		return nil
	}
	err := os.Remove(in.path(in.name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, in.lock.Close())
}

// path is the file for an id. Ids come from the database, so only the base name
// counts.
func (in *instance) path(id string) string { return filepath.Join(in.dir, filepath.Base(id)) }
