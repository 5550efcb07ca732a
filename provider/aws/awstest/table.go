package awstest

// table holds one kind of resource by name, in order of creation, each with
// its state before its last write. Rows are replaced as a whole and never
// changed in place, so that a failed action leaves no trace and the former
// state is simply the former row. The zero value is ready.
type table[T any] struct {
	rows  map[string]*row[T]
	order []*row[T] // by seq; holds deleted rows too, for stale reads
	last  *row[T]   // the one written last
	seq   int
}

type row[T any] struct {
	name        string
	seq         int
	now, before *T // nil: absent
}

// get returns the row of that name, or nil.
func (t *table[T]) get(name string, stale bool) *T {
	r := t.rows[name]
	switch {
	case r == nil:
		return nil
	case stale:
		return r.before
	}
	return r.now
}

// put sets the row of that name; nil deletes it.
func (t *table[T]) put(name string, v *T) {
	if t.rows == nil {
		t.rows = map[string]*row[T]{}
	}
	r := t.rows[name]
	if r == nil || (r.now == nil && v != nil) { // new, or made again: last in the order
		t.seq++
		r = &row[T]{name: name, seq: t.seq}
		t.rows[name] = r
		t.order = append(t.order, r)
	}
	r.before, r.now = r.now, v
	t.last = r
}

// page returns up to limit rows that keep accepts, after the position that a
// former page ended with (0 at first), and the position to go on from, or 0
// at the end. A stale page shows the row written last as it was before.
func (t *table[T]) page(after, limit int, stale bool, keep func(*T) bool) (found []*T, next int) {
	for _, r := range t.order {
		v := r.now
		if stale && r == t.last {
			v = r.before
		}
		if r.seq <= after || v == nil || !keep(v) {
			continue
		}
		if len(found) == limit {
			return found, next
		}
		found = append(found, v)
		next = r.seq
	}
	return found, 0
}
