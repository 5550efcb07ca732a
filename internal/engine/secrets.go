package engine

import (
	"iter"
	"maps"

	"github.com/rota-dev/rota/rotation"
)

// Secrets are the wired secrets of the current configuration. They may be
// replaced while turns are in flight: those go on with what they started with.
// The zero value has none.
type Secrets struct {
	generations Generations[map[string]*rotation.Secret]
}

// Replace puts other secrets in place of the current ones. closed, if not nil, is
// called when nobody uses the new ones any more: it ends what they were wired
// with.
func (s *Secrets) Replace(secrets []*rotation.Secret, closed func()) {
	byName := make(map[string]*rotation.Secret, len(secrets))
	for _, secret := range secrets {
		byName[secret.Name] = secret
	}
	s.generations.Replace(byName, closed)
}

// Borrow returns a secret for one turn, and what to call after it; nil if no such
// secret is configured, or it could not be wired.
func (s *Secrets) Borrow(name string) (*rotation.Secret, func()) {
	byName, release, _ := s.generations.Acquire()
	secret := byName[name]
	if secret == nil {
		release()
		return nil, func() {}
	}
	return secret, release
}

// All iterates over the current secrets, in no order.
func (s *Secrets) All() iter.Seq[*rotation.Secret] {
	byName, release, _ := s.generations.Acquire()
	release() // the map never changes, and nothing of the secrets is used
	return maps.Values(byName)
}

// Len is how many there are.
func (s *Secrets) Len() int {
	byName, release, _ := s.generations.Acquire()
	release()
	return len(byName)
}
