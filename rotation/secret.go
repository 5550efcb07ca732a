package rotation

import (
	"context"

	"github.com/rota-dev/rota"
)

// Secret is a named thing that Rota keeps fresh, wired to the systems that it
// lives in. Everything in it is bound to this one secret.
type Secret struct {
	Name string
	// Owner is who has to act where no program can; "" where nobody is named.
	Owner string
	// Systems are the names of the outside systems that the secret's steps
	// speak to: what one of them delays must not delay secrets without it.
	Systems   []string
	Issuer    rota.Issuer
	Store     rota.Store
	Checks    []rota.Check
	Targets   []rota.Target
	Reloaders []rota.Reloader
	Notifiers []rota.Notifier
	Policy    Policy
	// Configuration is a fingerprint of the configuration that it was wired by,
	// as it is enrolled in a journal that several workers share; "" where there
	// is none.
	Configuration string
	// Rivals finds out which other secrets change the same thing outside, where
	// only the outside can tell; nil if there can't be any. It's asked at every
	// look, must be cheap, and gives what it knows if a system doesn't answer.
	Rivals func(ctx context.Context) Rivals
}

// targetNames are the names of its targets, in the order of delivery.
func (s *Secret) targetNames() []string { return namesOf(s.Targets) }

// reloaderNames are the names of its reloaders, in the order of reloading.
func (s *Secret) reloaderNames() []string { return namesOf(s.Reloaders) }

func namesOf[T interface{ Name() string }](all []T) []string {
	var names []string
	for _, one := range all {
		names = append(names, one.Name())
	}
	return names
}
