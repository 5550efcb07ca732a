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

// database is an open SQLite or PostgreSQL database, with everything that
// differs between the two. The rest of the store is the same code for both.
type database struct {
	name       string     // for errors: the data folder, or the server's address
	path       string     // SQLite's file; "" for PostgreSQL
	reader     *sql.DB    // read-only
	connection connection // the writer's
	liveness   liveness
	reserve    reserve // of disk space
	dialect    dialect
	clock      *timeSource
	committers int // how many connections write; 0 means one
	// statementTimeout limits each statement of the writer; 0 means no limit.
	statementTimeout time.Duration
}

// close closes everything but what the writer closes.
func (d *database) close() error { return errors.Join(d.reader.Close(), d.liveness.close()) }

// dialect is the SQL that differs between the two.
type dialect struct {
	array     string         // the table, with a column "value", of the JSON array $1
	forUpdate string         // suffix of a SELECT that locks the row it reads
	snapshot  *sql.TxOptions // of a transaction that sees one snapshot throughout
	isOpen    string         // a query for whether any role may connect; "" without roles
}

// connection is how the writer talks to the database. Its methods are called by
// one goroutine at a time.
type connection interface {
	// connect returns a connection that can write. If the server is
	// unreachable, it retries for a while.
	connect(ctx context.Context) (*sql.Conn, error)
	// begin starts a transaction, waits for the named lock ("" for none) and
	// then notes the time.
	begin(t *tx, lock string) error
	// tryLocks takes more locks, and reports for each whether it got it or
	// another process has it. It never waits: someone who holds a lock and
	// waits for another can deadlock.
	tryLocks(t *tx, locks []string) ([]bool, error)
	// run runs statements in order, in one round trip if the database is
	// remote. It scans each statement's rows, or records how many rows it
	// changed.
	run(ctx context.Context, conn *sql.Conn, all []*statement) error
	// lockShared takes one more lock in shared mode, waiting for it. Only for
	// the keys' lock, whose holders never wait for another.
	lockShared(t *tx, name string) error
	// resolveCommit finds out what happened to a transaction whose COMMIT got
	// no response: nil if it was committed, [ErrUnknown] if that can't be
	// determined, any other error if it was rolled back.
	resolveCommit(ctx context.Context, t *tx) error
	close() error
}

// liveness tells which of the processes that have the store open are still
// alive.
type liveness interface {
	// id is this process's id; "" while others couldn't tell that it's alive.
	id() string
	// dead reports whether the process with that id is certainly dead, or has
	// closed the store. If in doubt it counts as alive, and its leases expire.
	dead(id string) bool
	close() error
}

// timeSource is the store's clock. On PostgreSQL it follows the server's, so
// that replicas whose clocks differ agree on when a lease expires.
type timeSource struct {
	override func() time.Time // nil to follow the database's clock
	offset   atomic.Int64     // between the database's clock and this machine's, as last seen
}

func (c *timeSource) now() time.Time {
	if c.override != nil {
		return c.override()
	}
	return time.Now().Add(time.Duration(c.offset.Load()))
}

// observe records the database's time, read just now.
func (c *timeSource) observe(now time.Time) { c.offset.Store(int64(time.Until(now))) }

// Locks that don't belong to a secret. A secret's lock is secretLock's.
const (
	keysLock    = "keys"   // the master key, and creating data keys
	accessLock  = "access" // principals and access keys
	enrollLock  = "enrol"  // what is configured, and by which replica
	haltLock    = "halt"
	holdersLock = "holders" // what instances report
)

// secretLock is the lock for reading and writing a secret.
func secretLock(secret string) string { return "secret/" + secret }

// lockNumber is a lock's number in PostgreSQL.
func lockNumber(kind, name string) int64 {
	sum := sha256.Sum256([]byte("rota " + kind + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
