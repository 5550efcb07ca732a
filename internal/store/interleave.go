package store

import (
	"iter"
	"slices"
)

// Interleaving is what makes a large group commit fast.
//
// A group commit carries out many requests in one transaction and syncs the
// disk once for all of them. That leaves the round trips: a request queries the
// database, waits for the result, and queries again. One request after another,
// a transaction of 64 requests waits 64 times as often as a transaction of one,
// and meanwhile it holds the lock on the audit's single chain.
//
// So each request runs as a coroutine. It runs until it needs a result; then
// the next one runs. Once all of them wait, their statements go to the database
// in one round trip, and each continues with its result. A transaction takes as
// many round trips as its longest request, however many share it.
//
// Saves per second on PostgreSQL with durable commits, medians of 7 interleaved
// rounds on 2 cores, by `go test -run '^$' -bench Writers -benchtime 7x
// ./internal/store`:
//
//	concurrent   interleaved   group commit, one after another   one transaction each
//	         1           240                               250                    230
//	        16         2,000                             1,550                    330
//	        64         5,300                             2,600                    400
//
// Interleaved requests are isolated from each other the way processes are:
// requests with the same lock run one after another, and a request with the
// keys' lock runs alone.

// coroutine is a request that shares a transaction with others.
type coroutine struct {
	request *request
	tx      *tx   // its own view: what it has written, and the statements still to send
	refusal error // what the request returned
	failure error // the database failed: every further statement gets this
	// resume runs the request until it needs the results of the statements it
	// returns. The bool is false once the request has ended.
	resume func() (statements []*statement, running bool)
}

func (t *tx) newCoroutine(r *request) *coroutine {
	c := &coroutine{request: r, tx: &tx{committer: t.committer, now: t.now}}
	// The second result, stop, isn't needed: every request runs to its end.
	c.resume, _ = iter.Pull(func(wait func([]*statement) bool) {
		c.tx.submit = func(statements []*statement) error {
			if c.failure == nil {
				wait(statements)
			}
			return c.failure
		}
		c.refusal = r.run(c.tx)
	})
	return c
}

// abort lets the request run to its end; all of its statements fail with err.
func (c *coroutine) abort(err error) {
	c.failure = err
	c.resume()
}

// interleave carries out requests side by side in t. It returns the ones it
// began, each with its refusal. If the database fails, it also returns the
// requests it hadn't begun, and the failure.
func (t *tx) interleave(requests []*request) (begun []outcome, waiting []*request, failure error) {
	var running []*coroutine
	held := map[string]bool{} // locks of the running requests
	waiting = requests
	for len(waiting)+len(running) > 0 {
		var starting []*request
		starting, waiting = startable(waiting, len(running), held)
		for _, r := range starting {
			if r.taken.CompareAndSwap(false, true) {
				running = append(running, t.newCoroutine(r))
			} else {
				delete(held, r.lock) // its caller gave up
			}
		}

		var statements []*statement
		running = slices.DeleteFunc(running, func(c *coroutine) (ended bool) {
			asked, more := c.resume()
			if more {
				statements = append(statements, asked...)
				return false
			}
			delete(held, c.request.lock)
			refusal, err := c.tx.classify(c.refusal)
			begun = append(begun, outcome{c.request, refusal})
			t.absorb(c.tx)
			if failure == nil {
				failure = err
			}
			return true
		})

		if failure == nil && len(running) > 0 {
			failure = t.send(statements)
		}
		if failure != nil {
			for _, c := range running {
				c.abort(failure)
				begun = append(begun, outcome{r: c.request})
			}
			return begun, waiting, failure
		}
	}
	return begun, nil, nil
}

// startable splits requests into those that can start beside the running ones,
// and those that must wait for a lock. It adds the locks of the former to held.
func startable(requests []*request, running int, held map[string]bool) (start, wait []*request) {
	for i, r := range requests {
		if held[keysLock] || r.lock == keysLock && running+len(start) > 0 {
			// Nothing overtakes a request for the keys' lock, or that one might
			// never run.
			return start, append(wait, requests[i:]...)
		}
		if held[r.lock] {
			wait = append(wait, r)
			continue
		}
		if r.lock != "" {
			held[r.lock] = true
		}
		start = append(start, r)
	}
	return start, wait
}
