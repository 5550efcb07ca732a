package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrClosed is what a request gets after Close.
var ErrClosed = errors.New("the store is closed")

// maxBatch bounds how many requests one commit makes durable, and so how long
// the first of them waits.
const maxBatch = 512

// writer carries out all writes on one connection, in one goroutine. Requests
// that arrive while a commit is under way share the next one: the disk is
// asked to flush once for all of them, and they are answered after that.
type writer struct {
	pool  *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	now   func() time.Time
	seal  func(head) ([]byte, error) // of the audit's end

	queue    chan *request // unbuffered: what was not taken is still its caller's
	closing  chan struct{}
	finished chan struct{}
}

// request is a function to run in a transaction. It may run a second time,
// after a rollback: all that it does in memory must bear that.
type request struct {
	run    func(*tx) error
	taken  atomic.Bool // by the writer, or by its caller who gave up
	answer chan error
}

func newWriter(ctx context.Context, pool *sql.DB, now func() time.Time, seal func(head) ([]byte, error)) (*writer, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	w := &writer{
		pool: pool, conn: conn, stmts: map[string]*sql.Stmt{}, now: now, seal: seal,
		queue: make(chan *request), closing: make(chan struct{}), finished: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

// do runs the function in a transaction of its own as far as anyone can see:
// an error undoes all it did and nothing else. When do returns nil, it is on
// disk; when the context ends first, nothing was done.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{run: run, answer: make(chan error, 1)}
	select {
	case w.queue <- r:
	case <-w.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		// It is being carried out: wait for the commit rather than leave
		// the caller in doubt.
		return <-r.answer
	}
}

// close lets the transaction in hand end and refuses all others. It is called
// once.
func (w *writer) close() error {
	close(w.closing)
	<-w.finished
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.pool.Close())...)
}

func (w *writer) loop() {
	defer close(w.finished)
	for {
		select {
		case <-w.closing:
			return
		case r := <-w.queue:
			w.batch(r)
		}
	}
}

// batch carries out the first request and all that are waiting, and commits
// once. Where the database itself fails, nobody's work is known to be in: the
// whole is rolled back and each request tried alone, so that one that can't be
// done fails alone.
func (w *writer) batch(first *request) {
	t, err := w.begin()
	if err != nil {
		if first.taken.CompareAndSwap(false, true) {
			first.answer <- err
		}
		return
	}
	type outcome struct {
		r   *request
		err error
	}
	var done []outcome
	for r := first; r != nil && err == nil; r = w.next(len(done)) {
		if !r.taken.CompareAndSwap(false, true) {
			continue
		}
		refusal, failure := t.attempt(r)
		done = append(done, outcome{r, refusal})
		if err = failure; err != nil {
			break
		}
	}
	if err == nil {
		err = t.commit()
	}
	if err == nil {
		for _, o := range done {
			o.r.answer <- o.err
		}
		return
	}
	t.rollback()
	if len(done) == 1 {
		done[0].r.answer <- err
		return
	}
	for _, o := range done {
		o.r.answer <- w.alone(o.r)
	}
}

// next is a request that is waiting now, or nil.
func (w *writer) next(n int) *request {
	if n >= maxBatch {
		return nil
	}
	select {
	case r := <-w.queue:
		return r
	default:
		return nil
	}
}

func (w *writer) alone(r *request) error {
	t, err := w.begin()
	if err != nil {
		return err
	}
	refusal, err := t.attempt(r)
	if err == nil {
		err = t.commit()
	}
	if err != nil {
		t.rollback()
		return err
	}
	return refusal
}

// tx is the transaction in hand. Its statements take no context: what has
// begun is finished, for cancelling one caller must not interrupt the others.
type tx struct {
	w     *writer
	now   time.Time
	audit *head // the chain's end once the transaction has added to it, else nil
}

func (w *writer) begin() (*tx, error) {
	t := &tx{w: w}
	_, err := t.exec(sqlBegin)
	t.now = w.now() // after the wait for the lock
	return t, err
}

// attempt runs one request. A refusal is the request's own answer, and undone;
// a failure is the database's.
func (t *tx) attempt(r *request) (refusal, failure error) {
	if _, err := t.exec(sqlSavepoint); err != nil {
		return nil, err
	}
	before := t.audit
	refusal = r.run(t)
	if _, ok := errors.AsType[*dbError](refusal); ok {
		return nil, refusal
	}
	if refusal != nil {
		t.audit = before
		if _, err := t.exec(sqlUndoSavepoint); err != nil {
			return nil, err
		}
	}
	_, err := t.exec(sqlKeepSavepoint)
	return refusal, err
}

func (t *tx) commit() error {
	if err := t.writeHead(); err != nil {
		return err
	}
	_, err := t.exec(sqlCommit)
	return err
}

// rollback may find that SQLite has rolled back by itself; then its error says
// only that.
func (t *tx) rollback() { _, _ = t.exec(sqlRollback) }

// dbError is a statement that failed, as against a request that is refused.
type dbError struct{ err error }

func (e *dbError) Error() string { return "rota.db: " + e.err.Error() }
func (e *dbError) Unwrap() error { return e.err }

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s, ok := t.w.stmts[query]; ok {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, &dbError{explain(err)}
	}
	t.w.stmts[query] = s
	return s, nil
}

// exec runs a statement and gives the number of rows that it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query) //nolint:sqlclosecheck // the writer keeps it for the next call
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, &dbError{explain(err)}
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, &dbError{err}
	}
	return n, nil
}

// row reads one row into dest and tells whether there was one.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	s, err := t.stmt(query) //nolint:sqlclosecheck // the writer keeps it for the next call
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, &dbError{explain(err)}
	}
	return true, nil
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
