package store

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// tx is the transaction in hand. Its statements take no caller's context: what
// has begun is finished, for cancelling one caller must not interrupt the
// others.
type tx struct {
	committer *committer
	now       time.Time
	id        string       // PostgreSQL's, to ask for it after a COMMIT without an answer
	entries   [][]byte     // audit entries that go into the chain at the commit
	pending   []*statement // to be run before the next one
	wrote     bool         // something was changed, or is about to be
	// ask, if not nil, has statements run together with those of other requests.
	submit func([]*statement) error
}

// statement is SQL with its parameters.
type statement struct {
	query   string
	args    []any
	scan    func(scanner) error // gets each row; nil where there are none
	changed int64               // how many rows it changed, once it was run without scan
}

// scanner is a row to be read.
type scanner interface{ Scan(dest ...any) error }

// errPartialWrite is a request that was refused after it had written something.
// Nearly all look first and write then, so that a savepoint for each would be
// work for nothing: the transaction is rolled back, and its requests tried
// alone.
var errPartialWrite = errors.New("refused after something was written")

// attempt runs one request, with nobody beside it. A refusal is the request's
// own answer; with a failure the transaction must be rolled back.
func (t *tx) attempt(r *request) (refusal, failure error) { return t.classify(r.run(t)) }

// classify tells a refusal of the one request that was run in t from a failure.
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

// absorb takes over what a request that has ended left to be written.
func (t *tx) absorb(ended *tx) {
	t.pending = append(t.pending, ended.pending...)
	t.entries = append(t.entries, ended.entries...)
}

// commit makes it durable. Where the connection is lost meanwhile, it finds
// out what became of it.
func (t *tx) commit() error {
	err := t.writeAndCommit()
	if err != nil && t.committer.lost() {
		t.committer.disconnect()
		return t.committer.connection.resolveCommit(t.committer.ctx, t)
	}
	return err
}

// writeAndCommit writes the audit and commits. One committer of a process at a time waits for
// the audit's end, and holds nothing up there that others of it wait for.
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

// rollback may find that the database has rolled back by itself; then its
// error says only that.
func (t *tx) rollback() {
	t.pending = nil
	if !t.committer.lost() {
		_, _ = t.exec(sqlRollback)
	}
	if t.committer.lost() {
		t.committer.disconnect()
	}
}

// dbError is a statement that failed, as against a request that is refused.
type dbError struct{ err error }

func (e *dbError) Error() string { return "database: " + e.err.Error() }
func (e *dbError) Unwrap() error { return e.err }

// enqueue is a statement whose effect nobody asks for: it is run together with
// the next one, or with the commit. That it failed shows there, and fails the
// transaction.
func (t *tx) enqueue(query string, args ...any) {
	t.wrote = true
	t.pending = append(t.pending, &statement{query: query, args: args})
}

// run runs a statement after those that wait.
func (t *tx) run(s *statement) error {
	if t.submit == nil {
		return t.send([]*statement{s})
	}
	return t.submit(t.withPending(s))
}

// send runs statements after those that wait.
func (t *tx) send(asked []*statement) error {
	all := t.withPending(asked...)
	ctx, cancel := t.committer.deadline()
	defer cancel()
	if err := t.committer.connection.run(ctx, t.committer.conn, all); err != nil {
		return &dbError{explain(err)}
	}
	return nil
}

// withPending puts statements behind those that wait, and gives all of them to be run.
func (t *tx) withPending(asked ...*statement) []*statement {
	all := slices.Concat(t.pending, asked)
	t.pending = nil
	return all
}

// exec runs a statement and gives the number of rows that it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s := &statement{query: query, args: args}
	err := t.run(s)
	t.wrote = t.wrote || s.changed > 0
	return s.changed, err
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
