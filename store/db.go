package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// The names of the files in the data folder.
const (
	databaseFile = "rota.db"
	keyFile      = "rota.key"
)

// readers bounds the connections that read. Each has a cache of its own.
const readers = 4

// Options says where the store lies.
type Options struct {
	// Dir is the data folder. It is made where it is missing.
	Dir string
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Actor is named in the audit entries of what the store does by itself,
	// such as rotating the master key. Defaults to "rota".
	Actor string
}

// DB is an open store. All its methods may be called at the same time from
// several goroutines, and several processes may have the same folder open.
type DB struct {
	dir    string
	actor  string
	now    func() time.Time
	reader *sql.DB
	writer *writer
	keys   *keys
	self   *instance

	// rotating keeps two rotations of the master key apart: were they to share
	// a commit, one could drop the old key before the other's work is on disk.
	rotating sync.Mutex
	closed   sync.Once
}

// Open opens the store, makes it at the first start and brings its tables up
// to date. It refuses a folder or files that others than their owner may read
// or write, and a key file that is missing or does not fit.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, err)
	}
	return db, nil
}

func open(ctx context.Context, o Options) (_ *DB, err error) {
	if o.Dir == "" {
		return nil, errors.New("no folder given")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Actor == "" {
		o.Actor = "rota"
	}
	path := filepath.Join(o.Dir, databaseFile)
	if err := prepare(o.Dir, path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, path); err != nil {
		return nil, err
	}

	db := &DB{dir: o.Dir, actor: o.Actor, now: o.Now, keys: &keys{master: &master{path: filepath.Join(o.Dir, keyFile)}}}
	if db.self, err = newInstance(o.Dir); err != nil {
		return nil, err
	}
	if db.reader, err = openSQLite(path, readers, "query_only(1)"); err != nil {
		return nil, errors.Join(err, db.self.close())
	}
	pool, err := openSQLite(path, 1)
	if err != nil {
		return nil, errors.Join(err, db.reader.Close(), db.self.close())
	}
	if db.writer, err = newWriter(ctx, pool, o.Now, db.keys.seal); err != nil {
		return nil, errors.Join(err, pool.Close(), db.reader.Close(), db.self.close())
	}
	if err := db.writer.do(ctx, db.keys.setUp); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close waits for the writes in hand and closes the store. All further
// requests fail, writes with [ErrClosed]. Leases that were not given back are
// free. Closing again is no error.
func (db *DB) Close() error {
	var err error
	db.closed.Do(func() { err = errors.Join(db.reader.Close(), db.writer.close(), db.self.close()) })
	return err
}

// prepare makes the folder and an empty database file, for the owner alone,
// and checks the rights of what is there. SQLite gives its own files the
// database's rights.
func prepare(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := private(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (try: let this user write to the data folder and the files in it)", err)
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		if err := private(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// private refuses a file or folder that others than its owner have rights on.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	// Windows keeps rights elsewhere: the mode says nothing there.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		want := "600"
		if info.IsDir() {
			want = "700"
		}
		return fmt.Errorf("%s is open to others than its owner (mode %04o) (try: chmod %s %s)", path, mode, want, path)
	}
	return nil
}
