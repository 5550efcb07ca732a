package store

import (
	"database/sql"
	"errors"
	"time"
)

// maxBatch bounds how many requests one commit makes durable, and so how long
// the first of them waits.
const maxBatch = 512

// maxAttempts bounds how often a request is tried that the database threw out
// for the sake of another, or whose connection was lost.
const maxAttempts = 6

// committer carries out requests on one connection, in one goroutine. Two committers of a
// process stand to each other as two processes do.
type committer struct {
	*writer
	conn *sql.Conn  // nil while there is no connection
	next []*request // to begin the next batch with: somebody else had their locks
	turn bool       // it has the process's turn at the audit's end
}

func (l *committer) loop() {
	for {
		if len(l.next) > 0 {
			first := l.next[0]
			l.next = l.next[1:]
			l.batch(first)
			continue
		}
		select {
		case <-l.closing:
			return
		case r := <-l.queue:
			l.batch(r)
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
func (l *committer) batch(first *request) {
	t, err := l.begin(first.lock)
	if err != nil {
		l.give(first, err)
		if l.conn == nil {
			l.giveWaiting(err)
		}
		return
	}
	batch, err := l.run(t, first)
	if err == nil {
		err = t.commit()
	}
	if err == nil {
		for _, d := range batch {
			d.r.answer <- d.refusal
		}
		return
	}
	lost := l.lost()
	t.rollback()
	final := errors.Is(err, ErrUnknown) || len(batch) == 1 && !lost && !again(err) && !errors.Is(err, errHalfDone)
	for _, d := range batch {
		if final {
			d.r.answer <- err
			continue
		}
		var refusal error
		refusal, err = l.alone(d.r)
		final = err != nil && l.conn == nil // nobody gets through now
		d.r.answer <- errors.Join(refusal, err)
	}
}

// run carries out the first request, and then those that are waiting, until
// nobody is. What goes into the audit waits for its turn at the audit's end, and
// until then others may join: the longer the wait, the more share the commit.
func (l *committer) run(t *tx, first *request) ([]done, error) {
	var batch []done
	for turn := []*request{first}; ; {
		carried, rest, err := t.interleave(turn)
		batch = append(batch, carried...)
		if err != nil {
			l.next = append(rest, l.next...)
			return batch, err
		}
		if turn, err = l.enter(t, maxBatch-len(batch)); err != nil {
			return batch, err
		}
		if len(turn) > 0 {
			continue
		}
		if len(t.entries) == 0 || l.takeTurn(maxBatch-len(batch)) {
			return batch, nil
		}
	}
}

// takeTurn waits for the turn at the audit's end. It is false where a request
// came first, and now waits in next; no more than that many may.
func (l *committer) takeTurn(most int) bool {
	if l.turn {
		return true
	}
	var queue chan *request
	if most > len(l.next) {
		queue = l.queue
	}
	select {
	case l.turns <- struct{}{}:
		l.turn = true
	case r := <-queue:
		l.next = append(l.next, r)
	}
	return l.turn
}

// giveTurn gives the turn back, if it was had.
func (l *committer) giveTurn() {
	if l.turn {
		l.turn = false
		<-l.turns
	}
}

// enter gives the requests that are waiting and may join the transaction. Those
// whose lock another process has begin the next one.
func (l *committer) enter(t *tx, most int) ([]*request, error) {
	if most <= 0 {
		return nil, nil
	}
	asking := l.next
	l.next = nil
	for r := l.waiting(); r != nil; r = l.waiting() {
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
	free, err := l.connection.enter(t, locks)
	if err != nil {
		l.next = asking
		return nil, err
	}
	var entered []*request
	for i, r := range asking {
		if free[i] {
			entered = append(entered, r)
		} else {
			l.next = append(l.next, r)
		}
	}
	return entered, nil
}

// waiting is a request that is waiting now, or nil.
func (l *committer) waiting() *request {
	select {
	case r := <-l.queue:
		return r
	default:
		return nil
	}
}

// give answers a request that was not taken, if its caller still waits.
func (l *committer) give(r *request, err error) {
	if r.taken.CompareAndSwap(false, true) {
		r.answer <- err
	}
}

// giveWaiting answers all who wait while the database is not to be reached:
// they have waited as long as the first.
func (l *committer) giveWaiting(err error) {
	for _, r := range l.next {
		l.give(r, err)
	}
	l.next = nil
	for r := l.waiting(); r != nil; r = l.waiting() {
		l.give(r, err)
	}
}

// alone carries out one request, several times where that may help.
func (l *committer) alone(r *request) (refusal, err error) {
	for attempt := 1; ; attempt++ {
		var lost bool
		refusal, lost, err = l.once(r)
		if err == nil || attempt == maxAttempts || !lost && !again(err) {
			return refusal, err
		}
		time.Sleep(time.Duration(attempt*attempt) * 10 * time.Millisecond)
	}
}

func (l *committer) once(r *request) (refusal error, lost bool, err error) {
	t, err := l.begin(r.lock)
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
	lost = l.lost()
	t.rollback()
	if errors.Is(err, errHalfDone) {
		return refusal, false, nil
	}
	return nil, lost, err
}

// begin begins a transaction, on a new connection where the old one is lost.
func (l *committer) begin(lock string) (*tx, error) {
	for attempt := 1; ; attempt++ {
		if l.conn == nil {
			conn, err := l.connection.connect(l.ctx)
			if err != nil {
				return nil, err
			}
			l.conn = conn
		}
		t := &tx{w: l}
		err := l.connection.begin(t, lock)
		if err == nil {
			return t, nil
		}
		lost := l.lost()
		t.rollback()
		if !lost || attempt == maxAttempts {
			return nil, err
		}
	}
}

// lost tells whether there is no connection that can be used.
func (l *committer) lost() bool { return l.conn == nil || closed(l.conn) }

// disconnect gives the connection up.
func (l *committer) disconnect() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}
