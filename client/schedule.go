package client

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// schedule says which secret is to be refreshed next: one heap and one goroutine
// serve any number of secrets.
type schedule struct {
	mu     sync.Mutex
	due    dueHeap
	woken  chan struct{}
	pushed bool // the source is pushing
}

func newSchedule() *schedule { return &schedule{woken: make(chan struct{}, 1)} }

// dueHeap orders secrets by when they are due.
type dueHeap []*Secret

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.at.Before(h[j].due.at) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].due.place, h[j].due.place = i+1, j+1
}
func (h *dueHeap) Push(x any) {
	s := x.(*Secret)
	*h = append(*h, s)
	s.due.place = len(*h)
}
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last], *h = nil, (*h)[:last]
	s.due.place = 0
	return s
}

// due is a secret's place in the schedule, under the schedule's lock.
type due struct {
	at      time.Time
	place   int  // in the heap, from 1; 0 while it isn't in it
	again   bool // changed while it was being refreshed
	working bool // it's being refreshed
}

// next waits for a secret that is due, and takes it out. done puts it back.
func (s *schedule) next(ctx context.Context) (*Secret, bool) {
	for {
		secret, wait := s.take()
		if secret != nil {
			return secret, true
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, false
		case <-s.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take returns a secret that is due, or how long nothing will be.
func (s *schedule) take() (*Secret, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(s.due[0].due.at); wait > 0 {
		return nil, wait
	}
	secret := heap.Pop(&s.due).(*Secret)
	secret.due.working = true
	return secret, 0
}

// begin takes a secret out that is refreshed before it's due.
func (s *schedule) begin(secret *Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret.due.place > 0 {
		heap.Remove(&s.due, secret.due.place-1)
	}
	secret.due.working = true
}

// done puts a secret back after a refresh: to be asked for again after the wait,
// give or take a tenth, or at once if it changed meanwhile.
func (s *schedule) done(secret *Secret, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret.due.working = false
	if secret.current.Load() == nil {
		return // the first Get asks for it
	}
	if secret.due.again {
		wait, secret.due.again = 0, false
	}
	secret.due.at = time.Now().Add(jittered(wait))
	if secret.due.place > 0 {
		heap.Fix(&s.due, secret.due.place-1)
	} else {
		heap.Push(&s.due, secret)
	}
	s.wake()
}

// hurry makes a secret due at once, if it's in the schedule at all.
func (s *schedule) hurry(secret *Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case secret.due.working:
		secret.due.again = true
	case secret.due.place > 0:
		secret.due.at = time.Now()
		heap.Fix(&s.due, secret.due.place-1)
		s.wake()
	}
}

func (s *schedule) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// setPushed notes whether the source is pushing. When it stops, whatever was to be
// asked for rarely is due within the usual time.
func (s *schedule) setPushed(on bool, o *Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pushed && !on {
		for _, secret := range s.due {
			soon := time.Now().Add(jittered(o.Every))
			if secret.due.at.After(soon) {
				secret.due.at = soon
			}
		}
		heap.Init(&s.due)
		s.wake()
	}
	s.pushed = on
}

// jittered is a duration, give or take a tenth.
func jittered(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)/5*float64(d)) //nolint:gosec // it spreads requests, no more
}

// interval is how long to wait until a secret is asked for again.
func (s *schedule) interval(o *Options) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pushed {
		return max(o.Check, o.Every)
	}
	return o.Every
}
