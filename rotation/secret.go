package rotation

import (
	"context"

	"github.com/rota-dev/rota"
)

// Secret is a named credential that Rota keeps fresh, wired to the systems it
// lives in. Everything in it is bound to this one secret.
type Secret struct {
	Name string
	// Owner is who has to act if Rota can't; "" if the configuration doesn't
	// name one.
	Owner string
	// Systems are the names of the outside systems that the secret's steps call.
	// If one of them is slow, secrets that don't use it must not be delayed.
	Systems []string
	Issuer  rota.Issuer
	// Fields are the names of the fields that the issuer's credentials have. Any
	// others that the store holds are ignored: whoever may write to the store must
	// not choose what targets and checks get. Defaults to all of them.
	Fields    []string
	Store     rota.Store
	Checks    []rota.Check
	Targets   []rota.Target
	Reloaders []rota.Reloader
	Notifiers []rota.Notifier
	Policy    Policy
	// Configuration is a fingerprint of the configuration it was wired from, as
	// enrolled in a journal that several workers share; "" if there is none.
	Configuration string
	// Rivals finds the other secrets that change the same credentials outside,
	// if only the outside systems can tell; nil if there can't be any. It's
	// called at every observation, so it must be cheap. If a system doesn't
	// answer, it returns what it already knows.
	Rivals func(ctx context.Context) Rivals
}

// issued is a credential without what isn't the issuer's.
func (s *Secret) issued(c rota.Credential) rota.Credential {
	if len(s.Fields) == 0 {
		return c
	}
	return c.Only(s.Fields...)
}

// targetNames returns the names of its targets, in order of delivery.
func (s *Secret) targetNames() []string { return namesOf(s.Targets) }

// reloaderNames returns the names of its reloaders, in order of reloading.
func (s *Secret) reloaderNames() []string { return namesOf(s.Reloaders) }

func namesOf[T interface{ Name() string }](all []T) []string {
	var names []string
	for _, one := range all {
		names = append(names, one.Name())
	}
	return names
}
