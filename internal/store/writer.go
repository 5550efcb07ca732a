package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is what a request gets after Close.
var ErrClosed = errors.New("the store is closed")

// writer carries out all writes of this process, through its committers. Requests that
// arrive while commits are under way share the next one: the disk is asked to
// flush once for all of them, and they are answered after that.
type writer struct {
	connection       connection
	dialect          dialect
	statementTimeout time.Duration              // how long a statement may take, 0 for any time
	seal             func(head) ([]byte, error) // of the audit's end

	queue      chan *request // unbuffered: what was not taken is still its caller's
	closing    chan struct{}
	committers []*committer
	auditTurn  chan struct{}   // holds the committer whose turn it is at the audit's end
	ended      sync.WaitGroup  // of the committers
	ctx        context.Context // ends with the writer; bounds waiting for the server
	stop       context.CancelFunc
}

// request is a function to run in a transaction. It may run a second time,
// after a rollback: all that it does in memory must bear that.
type request struct {
	lock   string
	run    func(*tx) error
	taken  atomic.Bool // by the writer, or by its caller who gave up
	result chan error
}

func newWriter(ctx context.Context, d *database, seal func(head) ([]byte, error)) (*writer, error) {
	w := &writer{
		connection: d.connection, dialect: d.dialect, statementTimeout: d.statementTimeout, seal: seal,
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

// do runs the function in a transaction of its own as far as anyone can see:
// an error undoes all it did and nothing else. When do returns nil, it is on
// disk; when the context ends first, nothing was done.
//
// The lock keeps other processes out of what the function reads and then
// writes: nobody else runs one with the same lock at the same time. It is ""
// where one statement does it all, or where nothing is read.
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
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		// It is being carried out: wait for the commit rather than leave
		// the caller in doubt.
		return <-r.result
	}
}

// close lets the transactions in hand end and refuses all others. It is called
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

// deadline bounds one statement, for a server that hangs ends none.
func (w *writer) deadline() (context.Context, context.CancelFunc) {
	if w.statementTimeout == 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), w.statementTimeout)
}
