package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"
)

// ErrClosed is what a request gets after Close.
var ErrClosed = errors.New("the store is closed")

// maxBatch bounds how many requests one commit makes durable, and so how long
// the first of them waits.
const maxBatch = 512

// maxAttempts bounds how often a request is tried that the database threw out
// for the sake of another, or whose connection was lost.
const maxAttempts = 6

// writer carries out all writes of this process on one connection, in one
// goroutine. Requests that arrive while a commit is under way share the next
// one: the disk is asked to flush once for all of them, and they are answered
// after that.
type writer struct {
	link     link
	words    words
	patience time.Duration              // how long a statement may take, 0 for any time
	conn     *sql.Conn                  // nil while there is no connection
	seal     func(head) ([]byte, error) // of the audit's end

	queue    chan *request // unbuffered: what was not taken is still its caller's
	next     []*request    // to begin the next batch with: another process had their locks
	closing  chan struct{}
	finished chan struct{}
	ctx      context.Context // ends with the writer; bounds waiting for the server
	stop     context.CancelFunc
}

// request is a function to run in a transaction. It may run a second time,
// after a rollback: all that it does in memory must bear that.
type request struct {
	lock   string
	run    func(*tx) error
	taken  atomic.Bool // by the writer, or by its caller who gave up
	answer chan error
}

func newWriter(ctx context.Context, d *database, seal func(head) ([]byte, error)) (*writer, error) {
	conn, err := d.link.connect(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		link: d.link, words: d.words, patience: d.patience, conn: conn, seal: seal,
		queue: make(chan *request), closing: make(chan struct{}), finished: make(chan struct{}),
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	go w.loop()
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
	r := &request{lock: lock, run: run, answer: make(chan error, 1)}
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
	w.stop()
	<-w.finished
	w.disconnect()
	return w.link.close()
}

func (w *writer) loop() {
	defer close(w.finished)
	for {
		if len(w.next) > 0 {
			first := w.next[0]
			w.next = w.next[1:]
			w.batch(first)
			continue
		}
		select {
		case <-w.closing:
			return
		case r := <-w.queue:
			w.batch(r)
		}
	}
}

// done is a request that was run, and its refusal if it was refused.
type done struct {
	r       *request
	refusal error
}

// batch carries out the first request and all that are waiting, and commits
// once. Where the database itself fails, nobody's work is known to be in: the
// whole is rolled back and each request tried alone, so that one that can't be
// done fails alone.
func (w *writer) batch(first *request) {
	t, err := w.begin(first.lock)
	if err != nil {
		w.give(first, err)
		if w.conn == nil {
			w.giveWaiting(err)
		}
		return
	}
	batch, err := w.run(t, first)
	if err == nil {
		err = t.commit()
	}
	if err == nil {
		for _, d := range batch {
			d.r.answer <- d.refusal
		}
		return
	}
	lost := w.lost()
	t.rollback()
	final := errors.Is(err, ErrUnknown) || len(batch) == 1 && !lost && !again(err) && !errors.Is(err, errHalfDone)
	for _, d := range batch {
		if final {
			d.r.answer <- err
			continue
		}
		var refusal error
		refusal, err = w.alone(d.r)
		final = err != nil && w.conn == nil // nobody gets through now
		d.r.answer <- errors.Join(refusal, err)
	}
}

// run carries out the first request, and then those that are waiting, until
// nobody is.
func (w *writer) run(t *tx, first *request) ([]done, error) {
	var batch []done
	for turn := []*request{first}; len(turn) > 0; {
		carried, rest, err := t.weave(turn)
		batch = append(batch, carried...)
		if err != nil {
			w.next = append(rest, w.next...)
			return batch, err
		}
		if turn, err = w.enter(t, maxBatch-len(batch)); err != nil {
			return batch, err
		}
	}
	return batch, nil
}

// enter gives the requests that are waiting and may join the transaction. Those
// whose lock another process has begin the next one.
func (w *writer) enter(t *tx, most int) ([]*request, error) {
	if most <= 0 {
		return nil, nil
	}
	asking := w.next
	w.next = nil
	for r := w.waiting(); r != nil; r = w.waiting() {
		asking = append(asking, r)
		if len(asking) >= most {
			break
		}
	}
	if len(asking) == 0 {
		return nil, nil
	}
	locks := make([]string, len(asking))
	for i, r := range asking {
		locks[i] = r.lock
	}
	free, err := w.link.enter(t, locks)
	if err != nil {
		w.next = asking
		return nil, err
	}
	var entered []*request
	for i, r := range asking {
		if free[i] {
			entered = append(entered, r)
		} else {
			w.next = append(w.next, r)
		}
	}
	return entered, nil
}

// waiting is a request that is waiting now, or nil.
func (w *writer) waiting() *request {
	select {
	case r := <-w.queue:
		return r
	default:
		return nil
	}
}

// give answers a request that was not taken, if its caller still waits.
func (w *writer) give(r *request, err error) {
	if r.taken.CompareAndSwap(false, true) {
		r.answer <- err
	}
}

// giveWaiting answers all who wait while the database is not to be reached:
// they have waited as long as the first.
func (w *writer) giveWaiting(err error) {
	for _, r := range w.next {
		w.give(r, err)
	}
	w.next = nil
	for r := w.waiting(); r != nil; r = w.waiting() {
		w.give(r, err)
	}
}

// alone carries out one request, several times where that may help.
func (w *writer) alone(r *request) (refusal, err error) {
	for attempt := 1; ; attempt++ {
		var lost bool
		refusal, lost, err = w.once(r)
		if err == nil || attempt == maxAttempts || !lost && !again(err) {
			return refusal, err
		}
		time.Sleep(time.Duration(attempt*attempt) * 10 * time.Millisecond)
	}
}

func (w *writer) once(r *request) (refusal error, lost bool, err error) {
	t, err := w.begin(r.lock)
	if err != nil {
		return nil, false, err
	}
	refusal, err = t.attempt(r)
	if err == nil {
		err = t.commit()
	}
	if err == nil {
		return refusal, false, nil
	}
	lost = w.lost()
	t.rollback()
	if errors.Is(err, errHalfDone) {
		return refusal, false, nil
	}
	return nil, lost, err
}

// begin begins a transaction, on a new connection where the old one is lost.
func (w *writer) begin(lock string) (*tx, error) {
	for attempt := 1; ; attempt++ {
		if w.conn == nil {
			conn, err := w.link.connect(w.ctx)
			if err != nil {
				return nil, err
			}
			w.conn = conn
		}
		t := &tx{w: w}
		err := w.link.begin(t, lock)
		if err == nil {
			return t, nil
		}
		lost := w.lost()
		t.rollback()
		if !lost || attempt == maxAttempts {
			return nil, err
		}
	}
}

// lost tells whether there is no connection that can be used.
func (w *writer) lost() bool { return w.conn == nil || closed(w.conn) }

// disconnect gives the connection up.
func (w *writer) disconnect() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}
