package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// holdersDir has one lock file for each open store, named by its id.
const holdersDir = "holders"

// instance is one open store, identified by a file that it holds a lock on. The
// kernel drops the lock when the process dies, however it dies, and other
// containers that share the folder can see that too, where process ids mean
// nothing. A process that is merely stopped keeps its lock.
type instance struct {
	dir  string
	name string   // "" if this system has no such locks
	file *os.File // nil without an id
}

// newInstance creates and locks a lock file, and removes stale ones.
func newInstance(dataDir string) (*instance, error) {
	in := &instance{dir: filepath.Join(dataDir, holdersDir)}
	if !hasLocks {
		return in, nil
	}
	if err := os.Mkdir(in.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := checkPrivate(in.dir); err != nil {
		return nil, err
	}
	for in.file == nil {
		if err := in.create(); errors.Is(err, errors.ErrUnsupported) {
			return in, nil // a file system without locks: leases expire
		} else if err != nil {
			return nil, err
		}
	}
	in.removeStale()
	return in, nil
}

// create creates a lock file and locks it. Another process may find the file
// before it is locked and remove it as stale; file then stays nil.
func (in *instance) create() (err error) {
	id := rand.Text()
	f, err := os.OpenFile(in.path(id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	held, err := lockFile(f, true)
	if held {
		mine, statErr := f.Stat()
		there, lstatErr := os.Lstat(in.path(id))
		if statErr == nil && lstatErr == nil && os.SameFile(mine, there) {
			in.name, in.file = id, f
			return nil
		}
	}
	_ = os.Remove(in.path(id)) // at worst the next sweep removes it
	return errors.Join(err, f.Close())
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
	if id == "" || id == in.name || in.file == nil {
		return false
	}
	f, err := os.OpenFile(in.path(id), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer func() { _ = f.Close() }()
	// Shared, so that two concurrent checks don't mistake each other for the
	// owner.
	free, err := lockFile(f, false)
	if err != nil || !free {
		return false
	}
	_ = os.Remove(in.path(id))
	return true
}

// close drops the lock, and with it all leases that weren't released.
func (in *instance) close() error {
	if in.file == nil {
		return nil
	}
	err := os.Remove(in.path(in.name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, in.file.Close())
}

// path is the file for an id. Ids come from the database, so only the base name
// counts.
func (in *instance) path(id string) string { return filepath.Join(in.dir, filepath.Base(id)) }
