package store

import (
	"database/sql"
	"errors"
	"time"
)

// maxBatch bounds how many requests one commit makes durable, and so how long
// the first of them waits.
const maxBatch = 512

// maxAttempts bounds how often a request is retried after the database aborted
// it in favor of another, or after the connection was lost.
const maxAttempts = 6

// committer carries out requests on one connection, in one goroutine. Two
// committers in one process see each other as two processes would.
type committer struct {
	*writer
	conn     *sql.Conn  // nil while there is no connection
	deferred []*request // start the next batch with these: their locks were taken
	hasTurn  bool       // holds the process's turn at the end of the audit

	lastSize   int           // how many requests shared the last commit
	lastCommit time.Duration // how long that took
}

func (c *committer) loop() {
	for {
		if len(c.deferred) > 0 {
			first := c.deferred[0]
			c.deferred = c.deferred[1:]
			c.batch(first)
			continue
		}
		select {
		case <-c.closing:
			return
		case r := <-c.queue:
			c.batch(r)
		}
	}
}

// outcome is a request that ran, and its refusal if it was refused.
type outcome struct {
	r       *request
	refusal error
}

// batch carries out the first request and every waiting one, and commits once.
// If the database itself fails, no request is known to be committed: the batch
// is rolled back and each request is retried alone, so that a request that
// can't succeed fails alone.
func (c *committer) batch(first *request) {
	t, err := c.begin(first.lock)
	if err != nil {
		c.reply(first, err)
		if c.conn == nil {
			c.failWaiting(err)
		}
		return
	}
	batch, err := c.run(t, first)
	begun := time.Now()
	if err == nil {
		err = t.commit()
	}
	c.lastSize, c.lastCommit = len(batch), time.Since(begun)
	if err == nil {
		for _, d := range batch {
			d.r.result <- d.refusal
		}
		return
	}
	lost := c.lost()
	t.rollback()
	wentBack := errors.Is(err, ErrWentBack)
	if wentBack {
		err = errors.Join(err, c.acceptOlder())
	}
	final := wentBack || errors.Is(err, ErrUnknown) || len(batch) == 1 && !lost && !isRetryable(err) && !errors.Is(err, errPartialWrite)
	for _, d := range batch {
		if final {
			d.r.result <- err
			continue
		}
		var refusal error
		refusal, err = c.retryAlone(d.r)
		final = err != nil && c.conn == nil // nobody gets through now
		d.r.result <- errors.Join(refusal, err)
	}
}

// run carries out the first request, then those that arrive meanwhile, until
// none are waiting. Requests that write to the audit also wait for the turn at
// its end, and more requests can join until then: the longer the wait, the more
// of them share the commit.
func (c *committer) run(t *tx, first *request) ([]outcome, error) {
	var batch []outcome
	for turn := []*request{first}; ; {
		carried, rest, err := t.interleave(turn)
		batch = append(batch, carried...)
		if err != nil {
			c.deferred = append(rest, c.deferred...)
			return batch, err
		}
		if turn, err = c.admit(t, maxBatch-len(batch)); err != nil {
			return batch, err
		}
		if len(turn) > 0 || len(batch) < c.lastSize && len(c.committers) == 1 && c.linger() {
			continue
		}
		if len(t.entries) == 0 || c.acquireTurn(maxBatch-len(batch)) {
			return batch, nil
		}
	}
}

// linger waits for another request, which then waits in deferred, half as long
// as a commit takes. Those who shared the last commit were all answered at the
// same moment, so they come back one shortly after the other. Without the wait,
// the first of them would get a commit to themselves.
func (c *committer) linger() bool {
	wait := time.NewTimer(c.lastCommit / 2)
	defer wait.Stop()
	select {
	case r := <-c.queue:
		c.deferred = append(c.deferred, r)
		return true
	case <-wait.C:
	case <-c.closing:
	}
	return false
}

// acquireTurn waits for the turn at the end of the audit. It returns false if a
// request arrived first, which then waits in deferred; at most so many requests
// may.
func (c *committer) acquireTurn(most int) bool {
	if c.hasTurn {
		return true
	}
	var queue chan *request
	if most > len(c.deferred) {
		queue = c.queue
	}
	select {
	case c.auditTurn <- struct{}{}:
		c.hasTurn = true
	case r := <-queue:
		c.deferred = append(c.deferred, r)
	}
	return c.hasTurn
}

// releaseTurn gives the turn back, if this committer has it.
func (c *committer) releaseTurn() {
	if c.hasTurn {
		c.hasTurn = false
		<-c.auditTurn
	}
}

// admit returns the waiting requests that can join the transaction. Those whose
// lock another process holds start the next one.
func (c *committer) admit(t *tx, most int) ([]*request, error) {
	if most <= 0 {
		return nil, nil
	}
	asking := c.deferred
	c.deferred = nil
	for r := c.poll(); r != nil; r = c.poll() {
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
	free, err := c.connection.tryLocks(t, locks)
	if err != nil {
		c.deferred = asking
		return nil, err
	}
	var entered []*request
	for i, r := range asking {
		if free[i] {
			entered = append(entered, r)
		} else {
			c.deferred = append(c.deferred, r)
		}
	}
	return entered, nil
}

// poll returns a request that is waiting now, or nil.
func (c *committer) poll() *request {
	select {
	case r := <-c.queue:
		return r
	default:
		return nil
	}
}

// reply answers a request that hasn't been taken, if its caller is still
// waiting.
func (c *committer) reply(r *request, err error) {
	if r.taken.CompareAndSwap(false, true) {
		r.result <- err
	}
}

// failWaiting fails everyone who is waiting while the database is unreachable:
// they have waited as long as the first.
func (c *committer) failWaiting(err error) {
	for _, r := range c.deferred {
		c.reply(r, err)
	}
	c.deferred = nil
	for r := c.poll(); r != nil; r = c.poll() {
		c.reply(r, err)
	}
}

// retryAlone carries out one request, several times if that can help.
func (c *committer) retryAlone(r *request) (refusal, err error) {
	for attempt := 1; ; attempt++ {
		var lost bool
		refusal, lost, err = c.runAlone(r)
		if err == nil || attempt == maxAttempts || !lost && !isRetryable(err) {
			return refusal, err
		}
		time.Sleep(time.Duration(attempt*attempt) * 10 * time.Millisecond)
	}
}

func (c *committer) runAlone(r *request) (refusal error, lost bool, err error) {
	t, err := c.begin(r.lock)
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
	lost = c.lost()
	t.rollback()
	if errors.Is(err, ErrWentBack) {
		return nil, false, errors.Join(err, c.acceptOlder())
	}
	if errors.Is(err, errPartialWrite) {
		return refusal, false, nil
	}
	return nil, lost, err
}

// begin starts a transaction, on a new connection if the old one was lost.
func (c *committer) begin(lock string) (*tx, error) {
	for attempt := 1; ; attempt++ {
		if c.conn == nil {
			conn, err := c.connection.connect(c.ctx)
			if err != nil {
				return nil, err
			}
			c.conn = conn
		}
		t := &tx{committer: c, state: c.lastEnd.current()}
		err := c.connection.begin(t, lock)
		if err == nil {
			return t, nil
		}
		lost := c.lost()
		t.rollback()
		if !lost || attempt == maxAttempts {
			return nil, err
		}
	}
}

// lost reports whether there is no usable connection.
func (c *committer) lost() bool { return c.conn == nil || connClosed(c.conn) }

// disconnect drops the connection.
func (c *committer) disconnect() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
