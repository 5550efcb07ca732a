package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// tx is the transaction in hand. Its statements take no caller's context: what
// has begun is finished, for cancelling one caller must not interrupt the
// others.
type tx struct {
	w       *writer
	now     time.Time
	id      string      // PostgreSQL's, to ask for it after a COMMIT without an answer
	entries [][]byte    // audit entries that go into the chain at the commit
	waiting []statement // to be run before the next one
	wrote   bool        // the request in hand has changed something, or is about to
}

// statement is SQL with its parameters.
type statement struct {
	query string
	args  []any
}

// scanner is a row to be read.
type scanner interface{ Scan(dest ...any) error }

// errHalfDone is a request that was refused after it had written something.
// Nearly all look first and write then, so that a savepoint for each would be
// work for nothing: the transaction is rolled back, and its requests tried
// alone.
var errHalfDone = errors.New("refused after something was written")

// attempt runs one request. A refusal is the request's own answer; with a
// failure the transaction must be rolled back.
func (t *tx) attempt(r *request) (refusal, failure error) {
	before := len(t.entries)
	t.wrote = false
	refusal = r.run(t)
	if _, ok := errors.AsType[*dbError](refusal); ok {
		return nil, refusal
	}
	if refusal != nil {
		t.entries = t.entries[:before]
		if t.wrote {
			return refusal, errHalfDone
		}
	}
	return refusal, nil
}

// commit makes it durable. Where the connection is lost meanwhile, it finds
// out what became of it.
func (t *tx) commit() error {
	if err := t.writeAudit(); err != nil {
		return err
	}
	_, err := t.exec(sqlCommit)
	if err != nil && t.w.lost() {
		t.w.disconnect()
		return t.w.link.settle(t.w.ctx, t)
	}
	return err
}

// rollback may find that the database has rolled back by itself; then its
// error says only that.
func (t *tx) rollback() {
	t.waiting = nil
	if !t.w.lost() {
		_, _ = t.exec(sqlRollback)
	}
	if t.w.lost() {
		t.w.disconnect()
	}
}

// dbError is a statement that failed, as against a request that is refused.
type dbError struct{ err error }

func (e *dbError) Error() string { return "database: " + e.err.Error() }
func (e *dbError) Unwrap() error { return e.err }

// later is a statement whose effect nobody asks for: it is run together with
// the next one, or with the commit. That it failed shows there, and fails the
// transaction.
func (t *tx) later(query string, args ...any) {
	t.wrote = true
	t.waiting = append(t.waiting, statement{query, args})
}

// run runs a statement after those that wait.
func (t *tx) run(scan func(scanner) error, query string, args []any) (int64, error) {
	t.waiting = append(t.waiting, statement{query, args})
	all := t.waiting
	t.waiting = nil
	ctx, cancel := t.w.deadline()
	defer cancel()
	n, err := t.w.link.run(ctx, t.w.conn, all, scan)
	if err != nil {
		return 0, &dbError{explain(err)}
	}
	return n, nil
}

// exec runs a statement and gives the number of rows that it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	n, err := t.run(nil, query, args)
	t.wrote = t.wrote || n > 0
	return n, err
}

// row reads one row into dest and tells whether there was one.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	found := false
	err := t.rows(query, args, func(row scanner) error {
		if found {
			return nil
		}
		found = true
		return row.Scan(dest...)
	})
	return found && err == nil, err
}

// rows reads any number of rows, each with scan.
func (t *tx) rows(query string, args []any, scan func(scanner) error) error {
	_, err := t.run(scan, query, args)
	return err
}

// count reads a single number.
func (t *tx) count(query string, args ...any) (int, error) {
	var n int
	found, err := t.row(query, args, &n)
	if err == nil && !found {
		err = &dbError{fmt.Errorf("no row from %s", query)}
	}
	return n, err
}

// deadline bounds one statement, for a server that hangs ends none.
func (w *writer) deadline() (context.Context, context.CancelFunc) {
	if w.patience == 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), w.patience)
}
