package store

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// tx is the current transaction. Its statements don't use a caller's context:
// what has started is finished, because canceling one caller must not interrupt
// the others.
type tx struct {
	committer *committer
	now       time.Time
	id        string       // PostgreSQL's, to ask about a COMMIT without a response
	entries   [][]byte     // audit entries that the commit appends to the chain
	checked   bool         // the commit checks the end of the chain even without entries
	accepts   bool         // an older state of the database
	state     int          // of the database, as in [lastEnd]
	end       head         // of the chain, once the commit has written it
	broken    bool         // the chain was broken before that
	pending   []*statement // to run before the next statement
	wrote     bool         // something was changed, or is about to be
	// submit, if not nil, runs statements together with those of other
	// requests.
	submit func([]*statement) error
}

// statement is SQL with its parameters.
type statement struct {
	query   string
	args    []any
	scan    func(scanner) error // gets each row; nil if there are none
	changed int64               // how many rows it changed, once it ran without scan
}

// scanner is a row to read.
type scanner interface{ Scan(dest ...any) error }

// errPartialWrite is a request that was refused after it had written something.
// Nearly all requests read first and write last, so a savepoint for each would
// be wasted effort: instead the transaction is rolled back, and its requests
// are retried alone.
var errPartialWrite = errors.New("refused after a partial write")

// attempt runs one request alone. A refusal is the request's own result; after
// a failure the transaction must be rolled back.
func (t *tx) attempt(r *request) (refusal, failure error) { return t.classify(r.run(t)) }

// classify separates a refusal by the request that ran in t from a failure.
func (t *tx) classify(refusal error) (_, failure error) {
	if _, ok := errors.AsType[*dbError](refusal); ok {
		return nil, refusal
	}
	if refusal != nil {
		t.entries = nil
		if t.wrote {
			return refusal, errPartialWrite
		}
	}
	return refusal, nil
}

// absorb takes over the writes that a finished request left pending.
func (t *tx) absorb(ended *tx) {
	t.pending = append(t.pending, ended.pending...)
	t.entries = append(t.entries, ended.entries...)
	t.checked = t.checked || ended.checked
}

// commit makes the transaction durable. If the connection is lost in the
// process, it finds out what happened.
func (t *tx) commit() error {
	err := t.writeAndCommit()
	if err != nil && t.committer.lost() {
		t.committer.disconnect()
		err = t.committer.connection.resolveCommit(t.committer.ctx, t)
	}
	if err == nil {
		t.committer.lastEnd.note(t.end, t.now, t.broken)
	}
	return err
}

// writeAndCommit writes the audit and commits. Only one committer per process
// waits for the end of the audit at a time, and it holds nothing there that
// other committers wait for.
func (t *tx) writeAndCommit() error {
	if len(t.entries) > 0 {
		t.committer.acquireTurn(0)
	}
	defer t.committer.releaseTurn()
	if err := t.writeAudit(); err != nil {
		return err
	}
	_, err := t.exec(sqlCommit)
	return err
}

// rollback ignores errors: the database may have rolled back by itself.
func (t *tx) rollback() {
	t.pending = nil
	if !t.committer.lost() {
		_, _ = t.exec(sqlRollback)
	}
	if t.committer.lost() {
		t.committer.disconnect()
	}
}

// dbError is a statement that failed, as opposed to a request that was refused.
type dbError struct{ err error }

func (e *dbError) Error() string { return "database: " + e.err.Error() }
func (e *dbError) Unwrap() error { return e.err }

// enqueue queues a statement whose result nobody needs: it runs together with
// the next statement or with the commit. If it fails, that one fails, and with
// it the transaction.
func (t *tx) enqueue(query string, args ...any) {
	t.wrote = true
	t.pending = append(t.pending, &statement{query: query, args: args})
}

// run runs a statement after the pending ones.
func (t *tx) run(s *statement) error {
	if t.submit == nil {
		return t.send([]*statement{s})
	}
	return t.submit(t.withPending(s))
}

// send runs statements after the pending ones.
func (t *tx) send(asked []*statement) error {
	all := t.withPending(asked...)
	ctx, cancel := t.committer.deadline()
	defer cancel()
	if err := t.committer.connection.run(ctx, t.committer.conn, all); err != nil {
		return &dbError{explain(err)}
	}
	return nil
}

// withPending returns the pending statements followed by these.
func (t *tx) withPending(asked ...*statement) []*statement {
	all := slices.Concat(t.pending, asked)
	t.pending = nil
	return all
}

// exec runs a statement and returns the number of rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s := &statement{query: query, args: args}
	err := t.run(s)
	t.wrote = t.wrote || s.changed > 0
	return s.changed, err
}

// row reads one row into dest and reports whether there was one.
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

// rows passes each row to scan.
func (t *tx) rows(query string, args []any, scan func(scanner) error) error {
	return t.run(&statement{query: query, args: args, scan: scan})
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
