package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// leases has the secret's keys end after 30 days unless they're renewed, and after 120
// in any case.
func (s *tale) leases() *memory.Sessions {
	k := memory.NewSessions(memory.SessionsOptions{Options: s.options(), Lifetime: 120 * rota.Day, RenewFor: 30 * rota.Day, Revocable: true})
	s.secret.Issuer, s.secret.Policy = k, rotation.Policy{RotateEvery: 30 * rota.Day}.ForLifetime(120*rota.Day)
	return k
}

// traitLives are the lives of credentials that the issuer ends, renews or replaces.
var traitLives = []story{
	{"a lease that's renewed", func(s *tale) { s.leases(); s.turns(0, 11, 20, 11) }},
	{"a lease that somebody revokes", func(s *tale) {
		k := s.leases()
		s.turns(0)
		k.Revoke(k.Keys()[0].ID)
		s.turns(11)
	}},
	{"a token that the next one replaces", func(s *tale) {
		k := memory.NewReplacing(memory.ReplacingOptions{Options: s.options(), Settle: time.Minute})
		s.secret.Issuer = k
		c := k.Plant()
		s.adopt(rotation.AdoptOptions{Credential: c})
		s.turns(90)
	}},
}
