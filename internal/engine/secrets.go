package engine

import (
	"iter"
	"sync"

	"github.com/rota-dev/rota/rotation"
)

// Secrets are the wired secrets as they are configured now. They may be
// replaced while turns are under way: those go on with what they began with.
// The zero value has none.
type Secrets struct {
	mu  sync.Mutex
	now *generation
}

// generation is one configuration's secrets.
type generation struct {
	byName map[string]*rotation.Secret
	users  int  // turns under way
	old    bool // replaced
	close  func()
}

// Replace puts other secrets in the place of those there are. Once nobody uses
// these any more, closed is called, if it is not nil: it ends what they were
// wired with.
func (s *Secrets) Replace(secrets []*rotation.Secret, closed func()) {
	g := &generation{byName: make(map[string]*rotation.Secret, len(secrets)), close: closed}
	for _, secret := range secrets {
		g.byName[secret.Name] = secret
	}
	s.mu.Lock()
	before := s.now
	s.now = g
	if before != nil {
		before.old = true
	}
	s.mu.Unlock()
	s.settle(before)
}

// Borrow gives a secret for one turn, and what to call after it; nil where no
// such secret is configured, or it could not be wired.
func (s *Secrets) Borrow(name string) (*rotation.Secret, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.now
	if g == nil || g.byName[name] == nil {
		return nil, func() {}
	}
	g.users++
	return g.byName[name], sync.OnceFunc(func() {
		s.mu.Lock()
		g.users--
		s.mu.Unlock()
		s.settle(g)
	})
}

// settle closes a generation that is over.
func (s *Secrets) settle(g *generation) {
	if g == nil {
		return
	}
	s.mu.Lock()
	over := g.old && g.users == 0 && g.close != nil
	closed := g.close
	if over {
		g.close = nil
	}
	s.mu.Unlock()
	if over {
		closed()
	}
}

// All goes over the secrets there are now, in no order.
func (s *Secrets) All() iter.Seq[*rotation.Secret] {
	s.mu.Lock()
	var byName map[string]*rotation.Secret
	if s.now != nil {
		byName = s.now.byName // never changed
	}
	s.mu.Unlock()
	return func(yield func(*rotation.Secret) bool) {
		for _, secret := range byName {
			if !yield(secret) {
				return
			}
		}
	}
}

// Len is how many there are.
func (s *Secrets) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return 0
	}
	return len(s.now.byName)
}
