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

	"github.com/rota-dev/rota"
)

// The files in the data folder.
const (
	databaseFile = "rota.db"
	keyFile      = "rota.key"
)

// Options say where the store is and how to open it.
type Options struct {
	// Dir is the data folder. It holds the key file and, without a DSN, the
	// database. Open creates it if it's missing.
	Dir string
	// DSN is the URL of a PostgreSQL database, such as
	// postgres://rota@db.example:5432/rota?sslmode=verify-full. Any number of
	// processes on any number of machines can share it. They must connect to
	// the server directly or through a pooler that gives each connection a
	// session of its own. Defaults to SQLite in Dir.
	DSN string
	// Volume is the mount point of a volume that only this user's processes see, such
	// as a container's. Everyone may write to it, unlike to other folders on the way to
	// Dir. Defaults to none.
	Volume string
	// KeyFile is the file with the master key. Defaults to rota.key in Dir.
	KeyFile string
	// KeyFileProvided says that KeyFile is made and replaced by something else, such as
	// a Kubernetes Secret. Then it's never written, and if root owns it, its group may
	// read it.
	KeyFileProvided bool
	// Wrapper, if set, encrypts the master key, which is then stored in the
	// database instead of a file. An existing key file's master key is
	// imported.
	Wrapper Wrapper
	// ManualMigrations makes Open refuse a database whose schema is older than
	// this program, with [ErrPending], instead of migrating it.
	ManualMigrations bool
	// Now is the clock. Defaults to time.Now on SQLite, and to the server's
	// clock on PostgreSQL.
	Now func() time.Time
	// Actor is named in the audit entries of what the store does by itself,
	// such as rotating the master key. Defaults to "rota".
	Actor string
}

// DB is an open store. Its facets each give access to one kind of thing, so
// that users depend on no more than they need. All methods are safe for
// concurrent use, and several processes can have the same store open.
type DB struct{ *core }

// core is what the facets of one store share.
type core struct {
	*database
	actor   string
	writer  *writer
	keys    *keys
	reads   statements
	holders holderCounts

	// rotating serializes rotations of the master key. If two of them shared a
	// commit, one could drop the old key before the other's work is on disk.
	rotating sync.Mutex
	closed   sync.Once
}

// Journal holds the progress of secrets, and their leases.
type Journal struct{ *core }

// Queue knows what is due: the enrolled secrets, and the halts that keep them
// from being due.
type Queue struct{ *core }

// Overview is what tables and metrics show about all secrets.
type Overview struct{ *core }

// Audit is the audit chain, and how much of it has been copied elsewhere.
type Audit struct{ *core }

// Replicas knows which process runs which configuration.
type Replicas struct{ *core }

func (db *DB) Journal() Journal { return Journal{db.core} }

func (db *DB) Queue() Queue { return Queue{db.core} }

func (db *DB) Overview() Overview { return Overview{db.core} }

func (db *DB) Audit() Audit { return Audit{db.core} }

func (db *DB) Replicas() Replicas { return Replicas{db.core} }

// Open opens the store. It creates it on first use and migrates its schema. It
// refuses a folder or files that anyone but their owner can access, and a key
// file that's missing or belongs to another database.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.location(), err)
	}
	return db, nil
}

// location says where the store is, without a password.
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
		return nil, errors.New("no data folder given")
	}
	d, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	db := &DB{&core{database: d, actor: o.Actor, keys: &keys{master: o.master()}, reads: statements{local: d.path != ""}}}
	if db.writer, err = newWriter(ctx, d, db.keys); err != nil {
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
	if o.Volume != "" {
		o.Volume = filepath.Clean(o.Volume)
	}
	return o
}

func (o Options) master() *master {
	if o.Wrapper != nil {
		return &master{storage: wrappedStorage{o.Wrapper, keyFileStorage(o.KeyFile)}}
	}
	if o.KeyFileProvided {
		return &master{storage: providedKeyFile{keyFileStorage(o.KeyFile)}}
	}
	return &master{storage: keyFileStorage(o.KeyFile)}
}

func (o Options) connect(ctx context.Context) (*database, error) {
	if o.DSN == "" {
		if o.Dir == "" {
			return nil, errors.New("no data folder given")
		}
		return connectSQLite(ctx, o)
	}
	if o.Dir != "" {
		if err := prepareFolder(o.Dir, o.Volume); err != nil {
			return nil, err
		}
	}
	return connectPostgres(ctx, o)
}

// Now is the store's time. On PostgreSQL that's the server's, as last seen, so
// that all replicas agree.
func (db *DB) Now() time.Time { return db.clock.now() }

// Close waits for in-flight writes and closes the store. Further requests fail,
// writes with [ErrClosed]. Leases that weren't released become free. Closing
// again is a no-op.
func (db *DB) Close() error {
	var err error
	db.closed.Do(func() { err = errors.Join(db.writer.close(), db.close()) })
	return err
}

// prepareFiles creates the folder and an empty database file, private to the
// owner, and checks the permissions of existing files. SQLite gives its other
// files the database's permissions.
func prepareFiles(dir, volume, path string) error {
	if err := prepareFolder(dir, volume); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return rota.WithRemedies(err, rota.Outside("make the data folder and its files writable for this user"))
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

func prepareFolder(dir, volume string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkFolder(dir, volume)
}

// checkFolder refuses a folder that others can read or replace.
func checkFolder(dir, volume string) error {
	if err := checkPrivate(dir); err != nil {
		return err
	}
	return checkWay(dir, volume)
}

// checkPrivate refuses a file or folder that belongs to someone else, or that
// anyone but its owner has permissions on.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	// Windows keeps permissions elsewhere; the mode means nothing there.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		want := "600"
		if info.IsDir() {
			want = "700"
		}
		return rota.WithRemedies(fmt.Errorf("%s is accessible to others than its owner (mode %04o)", path, mode), rota.Outside(fmt.Sprintf("chmod %s %s", want, path)))
	}
	return nil
}
