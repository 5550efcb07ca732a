package rest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/store"
)

// AuditLog is where the feed gets events. Package store implements it.
type AuditLog interface {
	Read(ctx context.Context, q store.AuditQuery) ([]store.AuditRecord, error)
}

// Feed wakes everyone who waits when something happens on any replica: it
// follows the audit. One periodic query serves them all.
type Feed struct {
	log    AuditLog
	every  time.Duration
	logger *slog.Logger
	poke   chan struct{}
	done   chan struct{} // closed when Run ends

	mu       sync.Mutex
	last     int64 // the newest entry's number; unknown while nobody waits
	waiting  map[string]map[*Waiter]bool
	everyone map[*Waiter]bool
}

// unknown isn't any entry's number.
const unknown = -1

// NewFeed creates a feed that polls the log at this interval while anyone
// waits. Run follows it.
func NewFeed(log AuditLog, every time.Duration, l *slog.Logger) *Feed {
	return &Feed{
		log: log, every: every, logger: l, poke: make(chan struct{}, 1), done: make(chan struct{}), last: unknown,
		waiting: map[string]map[*Waiter]bool{}, everyone: map[*Waiter]bool{},
	}
}

// Waiter is one waiting request.
type Waiter struct {
	feed    *Feed
	secret  string // "" for all
	changed chan struct{}
}

// Watch waits for events of one secret, "" for all. Stop must be called.
func (f *Feed) Watch(secret string) *Waiter {
	w := &Waiter{feed: f, secret: secret, changed: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == unknown {
		f.Poke() // to begin
	}
	if secret == "" {
		f.everyone[w] = true
		return w
	}
	if f.waiting[secret] == nil {
		f.waiting[secret] = map[*Waiter]bool{}
	}
	f.waiting[secret][w] = true
	return w
}

// Changed receives when something may have happened since.
func (w *Waiter) Changed() <-chan struct{} { return w.changed }

// Stop ends the waiting.
func (w *Waiter) Stop() {
	f := w.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.everyone, w)
	if these := f.waiting[w.secret]; these != nil {
		if delete(these, w); len(these) == 0 {
			delete(f.waiting, w.secret)
		}
	}
}

func (w *Waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default: // a look is already pending
	}
}

// Poke makes the feed look immediately: this process has just done something.
func (f *Feed) Poke() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// Done is closed when the feed has ended: waiters should leave.
func (f *Feed) Done() <-chan struct{} { return f.done }

// Run follows the log until ctx ends, and returns nil. It is called once.
func (f *Feed) Run(ctx context.Context) error {
	defer close(f.done)
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-f.poke:
		}
		f.poll(ctx)
	}
}

// start begins at the log's end. It wakes the waiters to look for themselves,
// because the feed won't report what happened between their last look and
// this end.
func (f *Feed) start(ctx context.Context) {
	last, err := f.Last(ctx)
	if err != nil {
		f.failed(ctx, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = last
	f.wakeAll()
}

func (f *Feed) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		f.logger.WarnContext(ctx, "follow the audit", "error", err)
	}
}

// poll wakes the waiters that new entries concern.
func (f *Feed) poll(ctx context.Context) {
	const batch = 1000
	for {
		f.mu.Lock()
		idle := len(f.everyone)+len(f.waiting) == 0
		if idle {
			f.last = unknown
		}
		after := f.last
		f.mu.Unlock()
		switch {
		case idle:
			return
		case after == unknown:
			f.start(ctx)
			return
		}
		entries, err := f.log.Read(ctx, store.AuditQuery{After: after, Limit: batch})
		if err != nil {
			f.failed(ctx, err)
			return
		}
		f.notify(entries)
		if len(entries) < batch {
			return
		}
	}
}

// wakeAll wakes all waiters. The feed is locked.
func (f *Feed) wakeAll() {
	for _, waiting := range f.waiting {
		for w := range waiting {
			w.wake()
		}
	}
	f.wakeEveryone()
}

// wakeEveryone wakes those who wait for all secrets. The feed is locked.
func (f *Feed) wakeEveryone() {
	for w := range f.everyone {
		w.wake()
	}
}

func (f *Feed) notify(entries []store.AuditRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		f.last = max(f.last, e.Seq)
		for w := range f.waiting[e.Entry.Secret] {
			w.wake()
		}
	}
	if len(entries) > 0 {
		f.wakeEveryone()
	}
}

// Since returns entries with a higher number, in order.
func (f *Feed) Since(ctx context.Context, seq int64, limit int) ([]store.AuditRecord, error) {
	return f.log.Read(ctx, store.AuditQuery{After: seq, Limit: limit})
}

// Last is the newest known entry's number.
func (f *Feed) Last(ctx context.Context) (int64, error) {
	newest, err := f.log.Read(ctx, store.AuditQuery{Newest: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].Seq, nil
}
