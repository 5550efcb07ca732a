package engine

import "sync"

// Generations hold a value that is replaced while it's in use, such as a
// configuration with its open connections. Whoever acquired the value goes on
// with it; a generation is closed once it is replaced and the last of them has
// released it. The zero value has none.
type Generations[T any] struct {
	mu      sync.Mutex
	current *generation[T]
}

// generation is one value and who uses it.
type generation[T any] struct {
	value T
	users int // those who acquired it, and one for being the current
	close func()
}

// Replace makes a value the current one. closed, if not nil, is called when
// nobody uses the value any more.
func (g *Generations[T]) Replace(value T, closed func()) {
	g.mu.Lock()
	before := g.current
	g.current = &generation[T]{value: value, users: 1, close: closed}
	g.mu.Unlock()
	g.release(before)
}

// End leaves no current value.
func (g *Generations[T]) End() {
	g.mu.Lock()
	before := g.current
	g.current = nil
	g.mu.Unlock()
	g.release(before)
}

// Acquire returns the current value, what to call when done with it (more than
// once does no harm), and whether there is one.
func (g *Generations[T]) Acquire() (value T, release func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	current := g.current
	if current == nil {
		return value, func() {}, false
	}
	current.users++
	return current.value, sync.OnceFunc(func() { g.release(current) }), true
}

// release counts one user less, and closes the generation after the last.
func (g *Generations[T]) release(old *generation[T]) {
	if old == nil {
		return
	}
	g.mu.Lock()
	old.users--
	over := old.users == 0
	g.mu.Unlock()
	if over && old.close != nil {
		old.close()
	}
}
