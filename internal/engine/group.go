package engine

import (
	"container/heap"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// group is the secrets that need the same systems: where one has no room, none
// has.
type group struct {
	key     string
	systems []*system
	waiting []*turn // in order
	parked  place
	at      *system // where it is parked
	index   int     // in its heap
}

// place is where a group is while something in it waits.
type place int

const (
	nowhere  place = iota // nothing waits
	inReady               // in the pool's heap
	atSystem              // in the heap of a system that had no room
)

// byFirst is a heap of groups, the one first whose first turn is to be begun
// first. A group is in it only while something waits in it, or while it is being
// taken out.
type byFirst []*group

func (h byFirst) Len() int { return len(h) }
func (h byFirst) Less(i, j int) bool {
	if len(h[i].waiting) == 0 || len(h[j].waiting) == 0 {
		return len(h[j].waiting) > 0
	}
	return h[i].waiting[0].before(h[j].waiting[0])
}
func (h byFirst) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *byFirst) Push(x any) {
	g := x.(*group)
	g.index = len(*h)
	*h = append(*h, g)
}
func (h *byFirst) Pop() any {
	old := *h
	g := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return g
}

// system is an outside system, as long as somebody needs it.
type system struct {
	name     string
	inHand   int
	timeouts int   // in a row
	last     error // the latest of them
	cools    int   // cool-downs in a row
	until    time.Time
	probing  bool    // one secret tries whether it answers again
	groups   int     // that need it
	parked   byFirst // groups that wait for room here
}

// group finds or makes the group of a secret. The lock is held.
func (p *Pool) group(s *rotation.Secret) *group {
	all := slices.Compact(slices.Sorted(slices.Values(s.Systems)))
	key := strings.Join(all, "\x00")
	if g, ok := p.groups[key]; ok {
		return g
	}
	g := &group{key: key}
	for _, name := range all {
		sys := p.systems[name]
		if sys == nil {
			sys = &system{name: name}
			p.systems[name] = sys
		}
		sys.groups++
		g.systems = append(g.systems, sys)
	}
	p.groups[key] = g
	return g
}

// full is a system that has no room, nil where all have.
func (p *Pool) full(systems []*system) *system {
	for _, s := range systems {
		if !p.room(s) {
			return s
		}
	}
	return nil
}

// cooling is a system that timed out too often and is left alone, nil where none
// is.
func (p *Pool) cooling(systems []*system) *system {
	for _, s := range systems {
		if s.timeouts >= p.limits.MaxTimeouts && !p.room(s) {
			return s
		}
	}
	return nil
}

// room tells whether one more may be begun at a system: at one that has timed
// out too often, a single probe once it has cooled down.
func (p *Pool) room(s *system) bool {
	if s.timeouts >= p.limits.MaxTimeouts {
		return !s.probing && s.inHand == 0 && !time.Now().Before(s.until)
	}
	return s.inHand < p.limits.PerSystem
}

// after is how long to wait before asking a system without room again.
func (s *system) after() time.Duration { return max(time.Until(s.until), 0) }

// take finds the first turn among those with room; nil where there is none. A
// group without room is parked at the system that has none, and fetched back
// when that one frees a place.
func (p *Pool) take() *turn {
	for p.ready.Len() > 0 {
		g := heap.Pop(&p.ready).(*group)
		if s := p.full(g.systems); s != nil {
			p.park(g, s)
			p.wakeAll(g)
			continue
		}
		t := g.waiting[0]
		g.waiting[0] = nil
		g.waiting = g.waiting[1:]
		p.waiting--
		if len(g.waiting) > 0 {
			heap.Push(&p.ready, g)
		} else {
			g.parked, g.waiting = nowhere, nil
		}
		// The turn takes its places when it begins, right after this.
		defer p.wakeAll(g)
		return t
	}
	return nil
}

func (p *Pool) park(g *group, s *system) {
	g.parked, g.at = atSystem, s
	heap.Push(&s.parked, g)
}

func (p *Pool) wakeAll(g *group) {
	for _, s := range g.systems {
		p.wake(s)
	}
}

// wake makes one group ready that waited for a place at the system, if there is
// one now. Whatever takes a group out of the ready ones calls it again, so that
// no place stays free while somebody waits for it.
func (p *Pool) wake(s *system) {
	for s.parked.Len() > 0 && p.room(s) {
		g := heap.Pop(&s.parked).(*group)
		if other := p.full(g.systems); other != nil {
			p.park(g, other)
			continue
		}
		g.parked = inReady
		heap.Push(&p.ready, g)
		return
	}
}

// forget drops a system, and the groups that need it alone, once nothing waits
// or is in hand there and it is well: names come and go with configurations.
func (p *Pool) forget(s *system) {
	if s.inHand > 0 || s.timeouts > 0 || s.groups != 1 {
		return
	}
	g, ok := p.groups[s.name]
	if !ok || g.parked != nowhere || len(g.waiting) > 0 {
		return
	}
	delete(p.groups, s.name)
	delete(p.systems, s.name)
}

// skip ends the first n turns that wait in a group.
func (p *Pool) skip(g *group, n int, system string, why error) {
	for _, t := range g.waiting[:n] {
		p.refuse(t, system, why)
	}
	p.waiting -= n
	g.waiting = slices.Delete(g.waiting, 0, n)
	p.settle(g)
}

// asked counts the turns in a group that somebody waits for: the first.
func (g *group) asked() int {
	n := slices.IndexFunc(g.waiting, func(t *turn) bool { return !t.asked })
	if n < 0 {
		return len(g.waiting)
	}
	return n
}

// remove takes one turn out of those that wait, and tells whether it was among
// them.
func (p *Pool) remove(t *turn) bool {
	g := t.group
	if g == nil {
		return false
	}
	i := slices.Index(g.waiting, t)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	p.waiting--
	p.settle(g)
	return true
}

// settle puts a group of which turns were taken in its place in its heap, or
// out of it where nothing waits any more.
func (p *Pool) settle(g *group) {
	h := p.heapOf(g)
	if len(g.waiting) > 0 {
		heap.Fix(h, g.index)
		return
	}
	if h != nil {
		heap.Remove(h, g.index)
	}
	g.parked, g.waiting = nowhere, nil
	p.wakeAll(g)
}

// heapOf is the heap that a group is in; nil for none.
func (p *Pool) heapOf(g *group) *byFirst {
	switch g.parked {
	case inReady:
		return &p.ready
	case atSystem:
		return &g.at.parked
	default:
		return nil
	}
}
