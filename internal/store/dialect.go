package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

// database is an open SQLite or PostgreSQL, with all that the two do
// differently. Everything else of the store is one code for both.
type database struct {
	name       string     // for errors: the data folder, or where the server is
	path       string     // SQLite's file; "" for PostgreSQL
	reader     *sql.DB    // cannot write
	connection connection // the writer's
	liveness   liveness
	dialect    dialect
	clock      *timeSource
	committers int // how many connections write; 0 for one
	// patience is how long one statement of the writer may take; 0 for any time.
	statementTimeout time.Duration
}

// close closes all but what the writer closes.
func (d *database) close() error { return errors.Join(d.reader.Close(), d.liveness.close()) }

// dialect are the SQL that the two say differently.
type dialect struct {
	array     string         // the table, with a column "value", of the JSON array $1
	forUpdate string         // what a SELECT ends with, to lock the row that it reads
	snapshot  *sql.TxOptions // of a transaction that sees one state from its begin to its end
}

// connection is the writer's way to the database. Its methods are called by one
// goroutine at a time.
type connection interface {
	// connect gives the connection that writes. Where the server can't be
	// reached, it tries for a while.
	connect(ctx context.Context) (*sql.Conn, error)
	// begin begins a transaction, waits for the lock of that name, "" for none,
	// and then notes the time.
	begin(t *tx, lock string) error
	// enter takes more locks, and tells of each whether it has it, or another
	// process. It does not wait: whoever has a lock and waits for another may
	// wait for ever.
	tryLocks(t *tx, locks []string) ([]bool, error)
	// run runs statements one after the other, in one round trip where the
	// database is elsewhere. It gives each of their rows to scan, or notes how
	// many rows they changed.
	run(ctx context.Context, conn *sql.Conn, all []*statement) error
	// share takes one more lock, waiting for it, together with others that share
	// it. Only for the keys' lock, whose holders wait for no other.
	lockShared(t *tx, name string) error
	// settle tells what became of a transaction whose COMMIT got no answer: nil
	// where it is in, [ErrUnknown] where nobody can tell, else it was undone.
	resolveCommit(ctx context.Context, t *tx) error
	close() error
}

// liveness tells the living from the dead among the processes that have the
// store open.
type liveness interface {
	// id is this process's; "" while others could not tell that it lives.
	id() string
	// dead tells whether the process with that id is certain to be dead, or has
	// closed the store. In doubt it lives: its leases end with their time.
	dead(id string) bool
	close() error
}

// timeSource is the store's time. With PostgreSQL it is the server's, so that
// replicas whose clocks differ agree on when a lease ends.
type timeSource struct {
	override func() time.Time // nil where the database's own counts
	offset   atomic.Int64     // of the database's clock against this machine's, as last seen
}

func (c *timeSource) now() time.Time {
	if c.override != nil {
		return c.override()
	}
	return time.Now().Add(time.Duration(c.offset.Load()))
}

// observe notes the database's time, read just now.
func (c *timeSource) observe(now time.Time) { c.offset.Store(int64(time.Until(now))) }

// Names of locks that are no secret's. A secret's lock is secretLock's.
const (
	keysLock   = "keys"   // the master key, and making data keys
	accessLock = "access" // principals and access keys
	enrollLock = "enrol"  // what is configured, and by which replica
	haltLock   = "halt"
)

// secretLock is the lock under which a secret is read and written.
func secretLock(secret string) string { return "secret/" + secret }

// lockNumber is a lock's number in PostgreSQL.
func lockNumber(kind, name string) int64 {
	sum := sha256.Sum256([]byte("rota " + kind + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
