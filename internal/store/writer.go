package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned for requests after Close.
var ErrClosed = errors.New("the store is closed")

// writer carries out all writes of this process, through its committers.
// Requests that arrive during a commit share the next one, so that the disk is
// synced once for all of them. They get their results after that.
type writer struct {
	connection       connection
	dialect          dialect
	statementTimeout time.Duration // per statement, 0 for no limit
	seals            sealer        // of the end of the audit

	queue      chan *request // unbuffered: a request that wasn't received still belongs to its caller
	closing    chan struct{}
	committers []*committer
	lastEnd    lastEnd
	auditTurn  chan struct{}           // held by the committer whose turn it is at the end of the audit
	ended      sync.WaitGroup          // the committers
	failed     atomic.Pointer[dbError] // why the last write failed; nil if it didn't
	ctx        context.Context         // ends with the writer; limits waiting for the server
	stop       context.CancelFunc
}

// request is a function to run in a transaction. It may run again after a
// rollback, so whatever it does in memory must tolerate that.
type request struct {
	lock   string
	run    func(*tx) error
	taken  atomic.Bool // by the writer, or by its caller who gave up
	result chan error
}

func newWriter(ctx context.Context, d *database, seals sealer) (*writer, error) {
	w := &writer{
		connection: d.connection, dialect: d.dialect, statementTimeout: d.statementTimeout, seals: seals,
		queue: make(chan *request), closing: make(chan struct{}), auditTurn: make(chan struct{}, 1),
	}
	for range max(d.committers, 1) {
		conn, err := d.connection.connect(ctx)
		if err != nil {
			for _, c := range w.committers {
				c.disconnect()
			}
			return nil, err
		}
		w.committers = append(w.committers, &committer{writer: w, conn: conn})
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	for _, c := range w.committers {
		w.ended.Go(c.loop)
	}
	return w, nil
}

// do runs the function as if in a transaction of its own: an error undoes
// everything it did and nothing else. If do returns nil, the changes are on
// disk; if the context ends first, nothing was done.
//
// The lock protects what the function reads before it writes from other
// processes: no other function with the same lock runs at the same time. It is
// "" if a single statement does everything, or if nothing is read.
func (w *writer) do(ctx context.Context, lock string, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{lock: lock, run: run, result: make(chan error, 1)}
	select {
	case w.queue <- r:
	case <-w.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.result:
		return w.noted(err)
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		// It's being carried out: wait for the commit rather than leave the
		// caller in doubt.
		return w.noted(<-r.result)
	}
}

// noted remembers whether the database took the last write.
func (w *writer) noted(err error) error {
	failed, _ := errors.AsType[*dbError](err)
	w.failed.Store(failed)
	return err
}

// close finishes in-flight transactions and refuses further ones. It is called
// once.
func (w *writer) close() error {
	close(w.closing)
	w.stop()
	w.ended.Wait()
	for _, c := range w.committers {
		c.disconnect()
	}
	return w.connection.close()
}

// deadline limits one statement, because a server that hangs won't end it.
func (w *writer) deadline() (context.Context, context.CancelFunc) {
	if w.statementTimeout == 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), w.statementTimeout)
}
