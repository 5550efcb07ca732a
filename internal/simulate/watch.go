package simulate

import (
	"context"
	"errors"

	"github.com/rota-dev/rota"
)

// keyIssuer is an issuer with every optional interface.
type keyIssuer interface {
	rota.Issuer
	rota.Lister
	rota.UseReporter
	rota.Deactivator
}

// watched returns the secret's issuer as Rota sees it, wrapped in a recorder
// for what the effects alone don't show, and then in a mutant.
func (s *subject) watched() rota.Issuer {
	switch {
	case s.hashed != nil:
		hashed := &watchedKeys{watchedPlain{s, s.hashed}, fullHashed{s.hashed}}
		return s.w.hooks.wrapHashed(&watchedHashed{watchedTokens{hashed.watchedPlain, hashed, hashed}, s.hashed})
	case s.only != nil:
		only := &watchedKeys{watchedPlain{s, s.only}, fullReplacing{s.only}}
		return s.w.hooks.wrapOnly(&watchedTokens{only.watchedPlain, only, only})
	case s.kept != nil:
		return s.w.hooks.wrapKept(&watchedKept{watchedPlain{s, s.kept}, s.kept})
	case s.tokens:
		keys := &watchedKeys{watchedPlain{s, s.keys}, s.keys}
		return &watchedTokens{keys.watchedPlain, keys, keys}
	case s.keys != nil:
		return s.w.hooks.wrapKeys(&watchedKeys{watchedPlain{s, s.keys}, s.keys})
	case s.alt != nil:
		return s.w.hooks.wrapKeys(&watchedKeys{watchedPlain{s, s.alt}, s.alt})
	case s.leases != nil:
		return &watchedLeases{watchedPlain{s, s.temp}, s.temp}
	case s.temp != nil:
		return &watchedPlain{s, s.temp}
	}
	return s.w.hooks.wrapIssuer(&watchedPlain{s, s.pass})
}

// watchedPlain records which credentials are set and the results of test
// logins.
type watchedPlain struct {
	s *subject
	rota.Issuer
}

func (i *watchedPlain) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	i.s.checkReplaces(r)
	i.s.truth.creating = r
	c, err := i.Issuer.Create(ctx, r)
	if errors.Is(err, rota.ErrLimit) {
		i.s.checkLimit()
	}
	return c, err
}

func (i *watchedPlain) Set(ctx context.Context, r rota.SetRequest) error {
	i.s.truth.inHand = r.Credential
	return i.Issuer.Set(ctx, r)
}

func (i *watchedPlain) Test(ctx context.Context, r rota.TestRequest) error {
	i.s.truth.inHand = r.Credential
	err := i.Issuer.Test(ctx, r)
	i.s.truth.tested(proof(r.Credential), err == nil, i.s.traits.TestSuccesses)
	return err
}

func (i *watchedPlain) Delete(ctx context.Context, r rota.RetireRequest) error {
	i.s.checkDelete(r.CredentialID)
	return i.Issuer.Delete(ctx, r)
}

// watchedKeys also records what the issuer reported about use.
type watchedKeys struct {
	watchedPlain
	full keyIssuer
}

func (i *watchedKeys) List(ctx context.Context) ([]rota.Issued, error) { return i.full.List(ctx) }

func (i *watchedKeys) LastUsed(ctx context.Context, id string) (rota.Use, error) {
	u, err := i.full.LastUsed(ctx, id)
	if k := i.s.worker; k != nil {
		if err != nil {
			u = rota.Use{}
		}
		k.answers[id] = u
		if u.Evidence == rota.EvidenceSampled && !u.At.IsZero() {
			i.s.truth.usedAt[id] = i.s.now
		}
	}
	return u, err
}

func (i *watchedKeys) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	i.s.checkDeactivate(r.CredentialID)
	return i.full.Deactivate(ctx, r)
}

func (i *watchedKeys) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return i.full.Reactivate(ctx, r)
}

// watchedTokens are watchedKeys that can't be deactivated.
type watchedTokens struct {
	watchedPlain
	rota.Lister
	rota.UseReporter
}
