package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// holdersDir holds one lock file for each open store, by its id.
const holdersDir = "holders"

// instance is one open store, told from all others by a file that it holds a
// lock on. The kernel drops the lock when the process dies, however it dies,
// and tells so in other containers that share the folder too, where process
// ids say nothing. A process that is merely stopped keeps it.
type instance struct {
	dir  string
	name string   // "" where this system has no such locks
	file *os.File // nil where there is no id
}

// newInstance makes a lock file and holds it, and removes those of the dead.
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
			return in, nil // a file system without locks: leases end with their time
		} else if err != nil {
			return nil, err
		}
	}
	in.removeStale()
	return in, nil
}

// create makes a lock file and holds it. Another process may find the file
// before it is locked, and remove it as a dead one's: then file stays nil.
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
	_ = os.Remove(in.path(id)) // at worst the next sweep does it
	return errors.Join(err, f.Close())
}

func (in *instance) id() string { return in.name }

// removeStale removes the lock files of the dead.
func (in *instance) removeStale() {
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		return // they do no harm
	}
	for _, e := range entries {
		if e.Name() != in.name {
			in.dead(e.Name())
		}
	}
}

// dead tells whether the process of another open store is certain to be dead,
// or has closed it. Its file goes, for which no file says the same. In doubt
// it lives: its leases end with their time.
func (in *instance) dead(id string) bool {
	if id == "" || id == in.name || in.file == nil {
		return false
	}
	f, err := os.OpenFile(in.path(id), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer func() { _ = f.Close() }()
	// Shared, so that two who ask at once don't take each other for it.
	free, err := lockFile(f, false)
	if err != nil || !free {
		return false
	}
	_ = os.Remove(in.path(id))
	return true
}

// close gives the lock up, and with it all leases that were not given back.
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

// path is where an id's file is. An id comes from the database: its base
// alone counts.
func (in *instance) path(id string) string { return filepath.Join(in.dir, filepath.Base(id)) }
