package awstest

// table holds resources of one kind by name, in creation order, each with its
// state before its last write. Rows are replaced as a whole and never changed
// in place, so a failed action leaves no trace and the previous state is simply
// the previous row. The zero value is ready to use.
type table[T any] struct {
	rows  map[string]*row[T]
	order []*row[T] // by seq; includes deleted rows, for stale reads
	last  *row[T]   // the last one written
	seq   int
}

type row[T any] struct {
	name        string
	seq         int
	now, before *T // nil if absent
}

// get returns the row with that name, or nil.
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

// put sets the row with that name; nil deletes it.
func (t *table[T]) put(name string, v *T) {
	if t.rows == nil {
		t.rows = map[string]*row[T]{}
	}
	r := t.rows[name]
	if r == nil || (r.now == nil && v != nil) { // new, or recreated: goes to the end of the order
		t.seq++
		r = &row[T]{name: name, seq: t.seq}
		t.rows[name] = r
		t.order = append(t.order, r)
	}
	r.before, r.now = r.now, v
	t.last = r
}

// page returns up to limit rows that keep accepts, starting after the position
// where the previous page ended (0 at first), and the position to continue
// from, or 0 at the end. A stale page shows the last written row as it was
// before the write.
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
