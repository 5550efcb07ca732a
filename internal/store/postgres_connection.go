package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rota-dev/rota"
)

// ErrUnknown means that the connection was lost during a commit, and that it
// couldn't be determined whether the commit succeeded.
var ErrUnknown = rota.WithRemedies(errors.New("the connection was lost during the commit, and it's unknown whether it succeeded"), rota.Outside("check what is stored before retrying"))

// resolveTimeout is how long to ask about a commit without a response.
const resolveTimeout = time.Minute

// postgresConnection writes to a server that other processes write to at the
// same time. Conflicting work is kept apart by advisory locks, which end with
// the transaction.
type postgresConnection struct {
	pool  *sql.DB
	clock *timeSource
}

func (p *postgresConnection) close() error { return p.pool.Close() }

// reconnectBackoff is how long to wait between attempts to reach the server.
// It's random, so that not all replicas come back at once.
func reconnectBackoff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: time.Second}
}

func (p *postgresConnection) connect(ctx context.Context) (*sql.Conn, error) {
	end := time.Now().Add(connectTimeout)
	for again := reconnectBackoff(); ; {
		conn, err := p.pool.Conn(ctx)
		if err == nil {
			return conn, nil
		}
		wait := again.NextBackOff()
		if ctx.Err() != nil || !isTransient(err) || time.Now().Add(wait).After(end) {
			return nil, explain(err)
		}
		if err := rota.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// begin takes a single round trip. resolveCommit needs the transaction's id.
func (p *postgresConnection) begin(t *tx, lock string) error {
	query := `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;`
	if lock != "" {
		query += fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d);`, lockNumber("lock", lock))
	}
	query += `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, pg_current_xact_id()::text`
	results, err := t.simpleQuery(query)
	if err != nil {
		return err
	}
	last := results[len(results)-1].Rows[0]
	us, err := strconv.ParseInt(string(last[0]), 10, 64)
	if err != nil {
		return &dbError{err}
	}
	t.id = string(last[1])
	p.clock.observe(fromMicros(us))
	t.now = fromMicros(us)
	if p.clock.override != nil {
		t.now = p.clock.override()
	}
	return nil
}

// sqlTryLocks takes the locks that are free, and reports for each, in order,
// whether it got it.
const sqlTryLocks = `SELECT pg_try_advisory_xact_lock(number) FROM unnest(CAST($1 AS bigint[])) AS number`

// tryLocks takes a single round trip.
func (p *postgresConnection) tryLocks(t *tx, locks []string) ([]bool, error) {
	free := slices.Repeat([]bool{true}, len(locks))
	var numbers []int64
	var asked []int
	for i, lock := range locks {
		if lock != "" {
			numbers = append(numbers, lockNumber("lock", lock))
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		return free, nil
	}
	n := 0
	return free, t.rows(sqlTryLocks, []any{numbers}, func(row scanner) error {
		err := row.Scan(&free[asked[n]])
		n++
		return err
	})
}

func (p *postgresConnection) lockShared(t *tx, name string) error {
	_, err := t.exec(`SELECT pg_advisory_xact_lock_shared($1)`, lockNumber("lock", name))
	return err
}

// run sends all statements at once, and then reads the results. pgx prepares
// each statement the first time it sees it.
func (p *postgresConnection) run(ctx context.Context, conn *sql.Conn, all []*statement) error {
	batch := &pgx.Batch{}
	for _, s := range all {
		batch.Queue(s.query, s.args...)
	}
	return withPgxConn(conn, func(c *pgx.Conn) (err error) {
		results := c.SendBatch(ctx, batch)
		defer func() { err = cmp.Or(err, results.Close()) }()
		for _, s := range all {
			if err := readResult(results, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// readResult reads the next statement's result.
func readResult(results pgx.BatchResults, s *statement) error {
	if s.scan == nil {
		tag, err := results.Exec()
		s.changed = tag.RowsAffected()
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// simpleQuery runs several statements without parameters in one round trip.
func (t *tx) simpleQuery(query string) (results []*pgconn.Result, err error) {
	ctx, cancel := t.committer.deadline()
	defer cancel()
	err = withPgxConn(t.committer.conn, func(c *pgx.Conn) (err error) {
		results, err = c.PgConn().Exec(ctx, query).ReadAll()
		return err
	})
	if err != nil {
		return nil, &dbError{explain(err)}
	}
	return results, nil
}

// withPgxConn passes pgx's own connection, which can do more than [sql.Conn].
func withPgxConn(conn *sql.Conn, do func(*pgx.Conn) error) error {
	return conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of %T", driver)
		}
		return do(c.Conn())
	})
}

// resolveCommit asks the server, once it's reachable, what happened to the
// transaction. A server that doesn't know its id yet has taken over from one
// that did, without the transaction.
func (p *postgresConnection) resolveCommit(ctx context.Context, t *tx) error {
	// Others may be waiting for the writer to close; resolving the doubt is
	// worth it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	for again := reconnectBackoff(); ; {
		var status sql.NullString
		err := p.pool.QueryRowContext(ctx, `SELECT pg_xact_status(CAST($1 AS xid8))`, t.id).Scan(&status)
		switch {
		case err == nil && status.String == "committed":
			verdict, err := p.confirm(ctx, t)
			switch {
			case err == nil:
				return verdict
			case !isTransient(err):
				return ErrUnknown
			}
		case err == nil && status.String == "aborted", pgCode(err) == "22023":
			return &dbError{errRolledBack}
		case err == nil && !status.Valid, err != nil && !isTransient(err):
			return ErrUnknown
		}
		if rota.Sleep(ctx, again.NextBackOff()) != nil {
			return ErrUnknown
		}
	}
}

// confirm returns nil if a transaction that was committed is t. A server that has taken
// over without t gives its id to another one.
func (p *postgresConnection) confirm(ctx context.Context, t *tx) (verdict, err error) {
	wrote, missing := t.end, error(&dbError{errRolledBack})
	if wrote.seq == 0 { // what this process had written before tells whether the server lost anything
		wrote, _ = t.committer.lastEnd.get()
		missing = ErrUnknown
	}
	if wrote.seq == 0 {
		return nil, nil
	}
	var hash []byte
	err = p.pool.QueryRowContext(ctx, sqlAuditHash, wrote.seq).Scan(&hash)
	if isNoRows(err) || err == nil && !bytes.Equal(hash, wrote.hash[:]) {
		return missing, nil
	}
	return nil, err
}
