package rest

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// AuditLog is where the feed gets events. Package store implements it.
type AuditLog interface {
	Read(ctx context.Context, q store.AuditQuery) ([]store.AuditRecord, error)
}

// Feed wakes everyone who waits when something happens on any replica: it
// follows the audit. One periodic query serves them all, because it keeps what
// it read: only those who are behind read the log themselves.
type Feed struct {
	log     AuditLog
	every   time.Duration
	logger  *slog.Logger
	poke    chan struct{}
	done    chan struct{} // closed when Run ends
	gone    chan struct{} // closed and replaced when the log went back
	catchUp chan struct{} // as many places as may read the log themselves at once

	mu       sync.Mutex
	last     int64               // the newest entry's number; unknown while nobody waits
	recent   []store.AuditRecord // all entries after floor up to last; never written to in place
	floor    int64
	waiting  map[string]map[*Waiter]bool
	everyone map[*Waiter]bool
}

const (
	// keptEntries is how many entries the feed keeps at least, once it has read
	// them. Those who wait have seen them within moments.
	keptEntries = 1000
	// maxCatchUp leaves the rest of the store's connections to everyone else,
	// however many streams begin far back.
	maxCatchUp = 2
)

// unknown isn't any entry's number.
const unknown = -1

// NewFeed creates a feed that polls the log at this interval while anyone
// waits. Run follows it.
func NewFeed(log AuditLog, every time.Duration, l *slog.Logger) *Feed {
	return &Feed{
		log: log, every: every, logger: l, poke: make(chan struct{}, 1), done: make(chan struct{}), gone: make(chan struct{}), catchUp: make(chan struct{}, maxCatchUp), last: unknown,
		waiting: map[string]map[*Waiter]bool{}, everyone: map[*Waiter]bool{},
	}
}

// Waiter is one waiting request.
type Waiter struct {
	feed    *Feed
	secret  string // "" for all
	changes bool   // only wake for what may have changed the secret
	changed chan struct{}
}

// Watch waits for events of one secret, "" for all. Stop must be called.
func (f *Feed) Watch(secret string) *Waiter {
	return f.add(&Waiter{feed: f, secret: secret, changed: make(chan struct{}, 1)})
}

// WatchChanges waits for events that may have changed a secret. Stop must be
// called.
func (f *Feed) WatchChanges(secret string) *Waiter {
	return f.add(&Waiter{feed: f, secret: secret, changes: true, changed: make(chan struct{}, 1)})
}

func (f *Feed) add(w *Waiter) *Waiter {
	secret := w.secret
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

// Gone is closed when the log has gone back, as after a restored backup: numbers of
// entries from before mean nothing any more.
func (f *Feed) Gone() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone
}

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
	f.last, f.floor, f.recent = last, last, nil
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
			f.last, f.recent = unknown, nil
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
		// The last entry again, to see whether it's still there.
		from := max(0, after-1)
		entries, err := f.log.Read(ctx, store.AuditQuery{After: from, Limit: batch})
		if err != nil {
			f.failed(ctx, err)
			return
		}
		if f.wentBack(after, entries) {
			f.start(ctx)
			return
		}
		f.notify(entries[min(int(after-from), len(entries)):])
		if len(entries) < batch {
			return
		}
	}
}

// wentBack reports whether the last entry that the feed has seen isn't the first of
// these. Those who wait for later ones then have to start again.
func (f *Feed) wentBack(last int64, entries []store.AuditRecord) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.recent)
	switch {
	case last == 0:
		return false
	case len(entries) > 0 && entries[0].Seq == last && (n == 0 || f.recent[n-1].Hash == entries[0].Hash):
		return false
	}
	close(f.gone)
	f.gone = make(chan struct{})
	return true
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
	f.keep(entries)
	for _, e := range entries {
		for w := range f.waiting[e.Entry.Secret] {
			if !w.changes || mayChange(e.Entry) {
				w.wake()
			}
		}
	}
	if len(entries) > 0 {
		f.wakeEveryone()
	}
}

// keep keeps entries that follow the last. The feed is locked.
func (f *Feed) keep(entries []store.AuditRecord) {
	for _, e := range entries {
		if e.Seq > f.last {
			f.last = e.Seq
			f.recent = append(f.recent, e)
		}
	}
	if surplus := len(f.recent) - keptEntries; surplus > keptEntries {
		f.floor = f.recent[surplus-1].Seq
		f.recent = slices.Clone(f.recent[surplus:])
	}
}

// mayChange reports whether an entry may be about another current version.
// Anyone can cause reads and refusals, as often as their limits allow.
func mayChange(e rotation.Entry) bool {
	switch e.Step {
	case rotation.OpGet, rotation.OpCurrent, rotation.OpStatus, rotation.OpVersions, rotation.OpList, rotation.OpPlan, rotation.OpCheck, rotation.OpAudit, rotation.OpVerify:
		return false
	}
	return e.Outcome != rotation.OutcomeDenied
}

// Since returns entries with a higher number, in order.
func (f *Feed) Since(ctx context.Context, seq int64, limit int) ([]store.AuditRecord, error) {
	if entries, ok := f.kept(seq, limit); ok {
		return entries, nil
	}
	select {
	case f.catchUp <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-f.catchUp }()
	return f.log.Read(ctx, store.AuditQuery{After: seq, Limit: limit})
}

// kept returns entries with a higher number, if the feed has them all.
func (f *Feed) kept(seq int64, limit int) ([]store.AuditRecord, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == unknown || seq < f.floor {
		return nil, false
	}
	next, _ := slices.BinarySearchFunc(f.recent, seq+1, func(e store.AuditRecord, seq int64) int { return cmp.Compare(e.Seq, seq) })
	return slices.Clip(f.recent[next:min(len(f.recent), next+limit)]), true
}

// Last is the newest known entry's number.
func (f *Feed) Last(ctx context.Context) (int64, error) {
	newest, err := f.log.Read(ctx, store.AuditQuery{Newest: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].Seq, nil
}
