package record

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Memory is [Records] in memory: for tests, and where nothing needs to be kept.
// The zero value is ready to use.
type Memory struct {
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	mu      sync.Mutex
	rows    map[string]*row
	last    *row // the most recently written
	entries []rotation.Entry
}

// row is one secret now and before its last write. What they point to is never
// modified in place, so that a failed change leaves no trace.
type row struct{ now, before *content }

type content struct {
	record Record
	values map[string]Value
}

var _ Records = (*Memory)(nil)

func (m *Memory) clock() time.Time {
	if m.Now == nil {
		return time.Now().UTC()
	}
	return m.Now().UTC()
}

// find returns a secret's content, nil if there's none or it has expired. The
// caller holds the mutex.
func (m *Memory) find(name string, stale bool) *content {
	r := m.rows[name]
	if r == nil {
		return nil
	}
	c := r.now
	if stale {
		c = r.before
	}
	if c == nil || c.record.Expired(m.clock()) {
		return nil
	}
	return c
}

// View returns a secret.
func (m *Memory) View(_ context.Context, name string) (Record, error) { return m.view(name, false) }

func (m *Memory) view(name string, stale bool) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.find(name, stale)
	if c == nil {
		return Record{}, ErrNotFound
	}
	return c.record.Clone(), nil
}

// Value returns a version's value and records the day of access.
func (m *Memory) Value(_ context.Context, name, version string, entries ...rotation.Entry) (Value, error) {
	return m.value(name, version, false, entries)
}

func (m *Memory) value(name, version string, stale bool, entries []rotation.Entry) (Value, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.find(name, stale)
	if c == nil || c.values[version].IsZero() {
		return Value{}, ErrNotFound
	}
	m.entries = append(m.entries, entries...)
	if now := m.find(name, false); now != nil {
		now.touch(version, Day(m.clock())) // not a write: nothing else shows it
	}
	return c.values[version], nil
}

// touch records the day. Records that were handed out are copies.
func (c *content) touch(version string, day time.Time) {
	c.record.AccessedAt = day
	if v := c.record.Version(version); v != nil {
		v.AccessedAt = day
	}
}

// List returns one page of secrets.
func (m *Memory) List(_ context.Context, p Page) ([]Record, error) { return m.list(p, false), nil }

// list returns a page; if stale, the most recently written row appears as it
// was before.
func (m *Memory) list(p Page, stale bool) []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Record
	for name, r := range m.rows {
		c := m.find(name, stale && r == m.last)
		if c != nil && (p.After == (Cursor{}) || p.before(p.After, p.By.Cursor(c.record))) {
			found = append(found, c.record)
		}
	}
	slices.SortFunc(found, func(a, b Record) int {
		if p.before(p.By.Cursor(a), p.By.Cursor(b)) {
			return -1
		}
		return 1
	})
	found = found[:min(p.Limit, len(found))]
	for i, r := range found {
		found[i] = r.Clone()
	}
	return found
}

func (p Page) before(a, b Cursor) bool {
	if p.Descending {
		a, b = b, a
	}
	return a.Compare(b) < 0
}

// Due lists the secrets with something to do.
func (m *Memory) Due(_ context.Context, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	var due []Cursor
	for name, r := range m.rows {
		if r.now == nil {
			continue
		}
		if at := r.now.record.DueAt(); !at.IsZero() && !at.After(now) {
			due = append(due, Cursor{at, name})
		}
	}
	slices.SortFunc(due, Cursor.Compare)
	var names []string
	for _, d := range due[:min(limit, len(due))] {
		names = append(names, d.Name)
	}
	return names, nil
}

// Update changes a secret.
func (m *Memory) Update(_ context.Context, name string, change func(*Change) error, entries ...rotation.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.find(name, false)
	record, values := Record{Name: name}, map[string]Value{}
	if old != nil {
		record, values = old.record.Clone(), old.values
	}
	c := NewChange(record, old != nil, m.clock(), func(version string) (Value, error) {
		if v := values[version]; !v.IsZero() {
			return v, nil
		}
		return Value{}, ErrNotFound
	})
	if err := change(c); err != nil {
		return err
	}
	m.entries = append(m.entries, entries...)
	if c.Remove {
		m.put(name, nil)
		return nil
	}
	next := &content{record: c.Clone(), values: map[string]Value{}}
	next.record.Name = name
	for i := range next.record.Versions {
		v := &next.record.Versions[i]
		value, err := c.Value(v.ID)
		v.Empty = err != nil
		if !v.Empty {
			next.values[v.ID] = value
		}
	}
	m.put(name, next)
	return nil
}

func (m *Memory) put(name string, c *content) {
	r := m.rows[name]
	if r == nil {
		if c == nil {
			return
		}
		if m.rows == nil {
			m.rows = map[string]*row{}
		}
		r = &row{}
		m.rows[name] = r
	}
	r.before, r.now = r.now, c
	m.last = r
}

// Record adds entries to the audit.
func (m *Memory) Record(_ context.Context, entries ...rotation.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, entries...)
	return nil
}

// Entries returns the audit so far, of one secret or, for "", of all.
func (m *Memory) Entries(secret string) []rotation.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.entries), func(e rotation.Entry) bool { return secret != "" && e.Secret != secret })
}

// Names returns the names of all existing secrets, sorted.
func (m *Memory) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.SortedFunc(maps.Keys(m.rows), strings.Compare), func(name string) bool { return m.find(name, false) == nil })
}

// Stale returns the same secrets as they were before each one's last write, as
// an eventually consistent read might. Writes through it take effect.
func (m *Memory) Stale() Records { return stale{m} }

type stale struct{ *Memory }

func (s stale) View(_ context.Context, name string) (Record, error) { return s.view(name, true) }

func (s stale) Value(_ context.Context, name, version string, entries ...rotation.Entry) (Value, error) {
	return s.value(name, version, true, entries)
}

func (s stale) List(_ context.Context, p Page) ([]Record, error) { return s.list(p, true), nil }
