package memory

import (
	"fmt"
	"sync"
	"time"
)

// Call is one call of a part's method. Op is the part and the method:
//
//	issuer.create issuer.set issuer.test issuer.delete issuer.list
//	issuer.last_used issuer.deactivate issuer.reactivate
//	store.describe store.get store.put store.move
//	journal.acquire journal.release journal.load journal.save
//	target.deliver reloader.reload notifier.notify check.check
type Call struct {
	System string // the part's [Options].System
	Op     string
	N      int // counts the part's calls of this Op, from 1
}

// Fault is what goes wrong with one call. The zero Fault is none. They may be
// combined: Delay, then Before; or Repeat, then Crash or After.
type Fault struct {
	// Delay is how long the call takes before it acts: given to
	// [Options].Wait, and ignored where there is none.
	Delay time.Duration
	// Before fails the call before it acts.
	Before error
	// Repeat acts twice and gives the second answer, as a client does that
	// sends again after it lost the first.
	Repeat bool
	// Stale lets a list or a description answer the state before the last
	// write, and a read miss what the last write wrote.
	Stale bool
	// Crash acts, then panics with a [Crash]: the process dies right after the
	// call took effect. A Faults function that panics itself is a crash right
	// before. No lock is held in either case.
	Crash bool
	// After acts, then fails the call: the answer is lost.
	After error
}

// Faults decides what goes wrong with a call. It is called before the call
// acts, with no lock held, and from several goroutines where the part is.
type Faults func(Call) Fault

// Crash is what a call with [Fault].Crash panics with.
type Crash struct{ Call Call }

// String names the call, for a panic that nobody recovered.
func (c Crash) String() string {
	return fmt.Sprintf("simulated crash after %s %s (call %d)", c.Call.System, c.Call.Op, c.Call.N)
}

// Effect is a change that a call really made.
type Effect struct {
	Call
	// ID is what was changed: a credential's id, a version's, or a label and
	// the version it moved to, as "AWSCURRENT=rota-…".
	ID string
	At time.Time
}

// Injector lets faults strike once each, in order. Its Fault method is a
// [Faults]. The zero Injector is ready.
type Injector struct {
	mu   sync.Mutex
	next map[string][]Fault
}

// Next lets f strike the next call of op that has no other fault waiting.
func (i *Injector) Next(op string, f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.next == nil {
		i.next = map[string][]Fault{}
	}
	i.next[op] = append(i.next[op], f)
}

// Fault takes the fault that waits for the call, if any.
func (i *Injector) Fault(c Call) Fault {
	i.mu.Lock()
	defer i.mu.Unlock()
	waiting := i.next[c.Op]
	if len(waiting) == 0 {
		return Fault{}
	}
	i.next[c.Op] = waiting[1:]
	return waiting[0]
}

// Waiting is how many faults have not struck yet.
func (i *Injector) Waiting() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, faults := range i.next {
		n += len(faults)
	}
	return n
}
