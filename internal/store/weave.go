package store

import (
	"iter"
	"slices"
)

// transaction is a request that is carried out beside others of one transaction. It
// runs until it needs the database's answer; meanwhile the others do.
type transaction struct {
	r       *request
	tx      *tx // its own: what it wrote, and what waits to be written
	refusal error
	failure error // for the statements that it asked for
	next    func() (asked []*statement, running bool)
}

func (t *tx) transaction(r *request) *transaction {
	s := &transaction{r: r, tx: &tx{w: t.w, now: t.now}}
	// The function is always run to its end, which is what iter.Pull's stop is
	// for.
	s.next, _ = iter.Pull(func(yield func([]*statement) bool) {
		s.tx.ask = func(all []*statement) error {
			if s.failure == nil {
				yield(all)
			}
			return s.failure
		}
		s.refusal = r.run(s.tx)
	})
	return s
}

// fail has the request end: nothing that it asks for will be done.
func (s *transaction) fail(err error) {
	s.failure = err
	s.next()
}

// interleave carries requests out side by side. What all of them ask for at a time
// goes to the database at once, so that a transaction takes as many round trips
// as the longest of its requests, and not as all of them. That is as safe as
// other processes are, which write at the same time: those with the same lock
// come one after the other, and those with the keys' lock alone.
//
// It gives what was carried out, with a failure too, and those requests that
// were not begun then.
func (t *tx) interleave(requests []*request) (batch []done, rest []*request, err error) {
	var running []*transaction
	held := map[string]bool{}
	for rest = requests; len(rest)+len(running) > 0; {
		var begun []*request
		begun, rest = entering(rest, len(running), held)
		for _, r := range begun {
			if !r.taken.CompareAndSwap(false, true) {
				delete(held, r.lock)
				continue
			}
			running = append(running, t.transaction(r))
		}
		var asked []*statement
		running = slices.DeleteFunc(running, func(s *transaction) bool {
			statements, more := s.next()
			asked = append(asked, statements...)
			if more {
				return false
			}
			delete(held, s.r.lock)
			refusal, failure := s.tx.judge(s.refusal)
			batch = append(batch, done{s.r, refusal})
			t.take(s.tx)
			if err == nil {
				err = failure
			}
			return true
		})
		if err == nil && len(running) > 0 {
			err = t.send(asked)
		}
		if err != nil {
			for _, s := range running {
				s.fail(err)
				batch = append(batch, done{r: s.r})
			}
			return batch, rest, err
		}
	}
	return batch, nil, nil
}

// entering parts requests into those that may begin now and those that must
// wait for the ones that run. held are the locks of these, to which it adds.
func entering(requests []*request, running int, held map[string]bool) (begin, wait []*request) {
	for i, r := range requests {
		if held[keysLock] || r.lock == keysLock && running+len(begin) > 0 {
			return begin, append(wait, requests[i:]...) // in order, so that the keys' turn comes
		}
		if held[r.lock] {
			wait = append(wait, r)
			continue
		}
		if r.lock != "" {
			held[r.lock] = true
		}
		begin = append(begin, r)
	}
	return begin, wait
}
