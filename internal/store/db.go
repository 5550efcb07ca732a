package store

import (
	"context"
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

// Options says where the store lies.
type Options struct {
	// Dir is the data folder, which holds the database, unless there is a DSN,
	// and the key file. It is made where it is missing.
	Dir string
	// DSN is the address of a PostgreSQL database, such as
	// postgres://rota@db.example:5432/rota?sslmode=verify-full, which any number
	// of processes on any number of machines share. They must reach the server
	// itself, or through a pooler that gives each connection a session of its
	// own. Defaults to SQLite in Dir.
	DSN string
	// KeyFile is the file of the master key. Defaults to rota.key in Dir.
	KeyFile string
	// Keeper, if any, encrypts the master key, which then lies in the database
	// rather than in a file. The master key of a key file is taken over.
	Wrapper Wrapper
	// ManualMigrations makes Open refuse a database whose tables are older than
	// this program, with [ErrPending], rather than bring them up to date.
	ManualMigrations bool
	// Now is the clock. Defaults to time.Now on SQLite and to the server's clock
	// on PostgreSQL.
	Now func() time.Time
	// Actor is named in the audit entries of what the store does by itself,
	// such as rotating the master key. Defaults to "rota".
	Actor string
}

// DB is an open store. Its facets give access to what is in it, each to one
// kind of thing, so that users ask for no more than they need. All methods may
// be called at the same time from several goroutines, and several processes may
// have the same store open.
type DB struct{ *core }

// core is what the facets of one store share.
type core struct {
	*database
	actor  string
	writer *writer
	keys   *keys
	reads  statements

	// rotating keeps two rotations of the master key apart: were they to share
	// a commit, one could drop the old key before the other's work is on disk.
	rotating sync.Mutex
	closed   sync.Once
}

// Journal is the progress of secrets, and their leases.
type Journal struct{ *core }

// Queue is what is due: the secrets that are enrolled, and the halts that keep
// them from being due.
type Queue struct{ *core }

// Overview is what tables and metrics show of all secrets.
type Overview struct{ *core }

// Audit is the audit chain, and how much of it was copied to places outside.
type Audit struct{ *core }

// Replicas is which process works by which configuration.
type Replicas struct{ *core }

// Journal gives the store's journal.
func (db *DB) Journal() Journal { return Journal{db.core} }

// Queue gives the store's queue.
func (db *DB) Queue() Queue { return Queue{db.core} }

// Overview gives the store's overview.
func (db *DB) Overview() Overview { return Overview{db.core} }

// Audit gives the store's audit.
func (db *DB) Audit() Audit { return Audit{db.core} }

// Replicas gives the store's replicas.
func (db *DB) Replicas() Replicas { return Replicas{db.core} }

// Open opens the store, makes it at the first start and brings its tables up
// to date. It refuses a folder or files that others than their owner may read
// or write, and a key file that is missing or does not fit.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.location(), err)
	}
	return db, nil
}

// location tells where the store is, without a password.
func (o Options) location() string {
	if o.DSN == "" {
		return o.Dir
	}
	config, err := parseDSN(o.DSN)
	if err != nil {
		return "in PostgreSQL"
	}
	return serverName(config)
}

func open(ctx context.Context, o Options) (_ *DB, err error) {
	o = o.withDefaults()
	if o.KeyFile == "" && o.Wrapper == nil {
		return nil, errors.New("no folder given")
	}
	d, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	db := &DB{&core{database: d, actor: o.Actor, keys: &keys{master: o.master()}}}
	if db.writer, err = newWriter(ctx, d, db.keys.seal); err != nil {
		return nil, errors.Join(err, d.connection.close(), d.close())
	}
	if err := db.writer.do(ctx, keysLock, db.keys.setUp); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (o Options) withDefaults() Options {
	if o.Actor == "" {
		o.Actor = "rota"
	}
	if o.KeyFile == "" && o.Dir != "" {
		o.KeyFile = filepath.Join(o.Dir, keyFile)
	}
	return o
}

func (o Options) master() *master {
	if o.Wrapper != nil {
		return &master{storage: wrappedStorage{o.Wrapper, keyFileStorage(o.KeyFile)}}
	}
	return &master{storage: keyFileStorage(o.KeyFile)}
}

func (o Options) connect(ctx context.Context) (*database, error) {
	if o.DSN == "" {
		if o.Dir == "" {
			return nil, errors.New("no folder given")
		}
		return connectSQLite(ctx, o)
	}
	if o.Dir != "" {
		if err := prepareFolder(o.Dir); err != nil {
			return nil, err
		}
	}
	return connectPostgres(ctx, o)
}

// Now is the store's time: with PostgreSQL the server's, as last seen, so that
// all replicas have the same.
func (db *DB) Now() time.Time { return db.clock.now() }

// Close waits for the writes in hand and closes the store. All further
// requests fail, writes with [ErrClosed]. Leases that were not given back are
// free. Closing again is no error.
func (db *DB) Close() error {
	var err error
	db.closed.Do(func() { err = errors.Join(db.writer.close(), db.close()) })
	return err
}

// prepareFiles makes the folder and an empty database file, for the owner alone,
// and checks the rights of what is there. SQLite gives its own files the
// database's rights.
func prepareFiles(dir, path string) error {
	if err := prepareFolder(dir); err != nil {
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
		if err := checkPrivate(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkPrivate(dir)
}

// checkPrivate refuses a file or folder that others than its owner have rights on.
func checkPrivate(path string) error {
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
