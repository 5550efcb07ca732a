package memory

import (
	"fmt"
	"sync"
	"time"
)

// Call is one call of a part's method. Op names the part and the method:
//
//	issuer.create issuer.set issuer.test issuer.delete issuer.list
//	issuer.last_used issuer.deactivate issuer.reactivate
//	store.describe store.get store.put store.move
//	journal.acquire journal.release journal.load journal.save
//	target.deliver reloader.reload notifier.notify check.check
type Call struct {
	System string // the part's [Options].System
	Op     string
	N      int // numbers the part's calls of this Op, from 1
}

// Fault is what goes wrong with one call. The zero Fault means nothing does.
// Faults can be combined: Delay, then Before; or Repeat, then Crash or After.
type Fault struct {
	// Delay is how long the call takes before it acts. It is passed to
	// [Options].Wait, and ignored if there is none.
	Delay time.Duration
	// Before is the error to fail with, without acting.
	Before error
	// Repeat acts twice and returns the second answer, like a client that lost
	// the first one and retried.
	Repeat bool
	// Stale makes a list or description return the state before the last write,
	// and makes a read miss that write.
	Stale bool
	// Crash acts, then panics with a [Crash], as if the process had died right
	// after the call took effect. To crash right before, panic in the Faults
	// function. No lock is held in either case.
	Crash bool
	// After is the error to fail with after acting, as if the answer were lost.
	After error
}

// Faults decides what goes wrong with a call. It is called before the call
// acts, with no lock held, and concurrently if the part is used concurrently.
type Faults func(Call) Fault

// Crash is the panic value of a call with [Fault].Crash.
type Crash struct{ Call Call }

// String names the call, for unrecovered panics.
func (c Crash) String() string {
	return fmt.Sprintf("simulated crash after %s %s (call %d)", c.Call.System, c.Call.Op, c.Call.N)
}

// Effect is a change that a call actually made.
type Effect struct {
	Call
	// ID is what was changed: the id of a credential or version, or a label and
	// the version it moved to, as in "AWSCURRENT=rota-…".
	ID string
	At time.Time
}

// Injector injects each of its faults once, in order. Its Fault method is a
// [Faults]. The zero Injector is ready to use.
type Injector struct {
	mu   sync.Mutex
	next map[string][]Fault
}

// Next queues f for the next call of op that has no other fault queued.
func (i *Injector) Next(op string, f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.next == nil {
		i.next = map[string][]Fault{}
	}
	i.next[op] = append(i.next[op], f)
}

// Fault removes and returns the fault queued for the call, if any.
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

// Waiting returns how many queued faults haven't been injected yet.
func (i *Injector) Waiting() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, faults := range i.next {
		n += len(faults)
	}
	return n
}
