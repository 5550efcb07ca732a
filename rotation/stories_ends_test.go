package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// lasts has the secret's keys end by themselves after a number of days each; the
// last number counts for all that follow.
func (s *tale) lasts(days ...float64) {
	s.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}, Lasts: func(n int) time.Duration {
		return time.Duration(days[min(n, len(days))-1] * float64(rota.Day))
	}})
	s.secret.Issuer = s.keys
}

// earlyLives are those of credentials that end before the policy rotates them.
var earlyLives = []story{
	{"keys that last for 60 days", func(s *tale) { s.lasts(60); s.turns(0, 47, 10, 3, 1, 33) }},
	{"a key that ends in an emergency", func(s *tale) {
		s.lasts(60, 0)
		s.turns(0, 61, 1)
	}},
	{"a token that ends", func(s *tale) {
		k := memory.NewTokens(memory.AccessKeysOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}, Lasts: func(int) time.Duration { return 60 * rota.Day }})
		s.keys, s.secret.Issuer = k.All, k
		s.turns(0, 40, 10, 10)
	}},
	{"keys that last for hours", func(s *tale) {
		s.lasts(0.5)
		s.turns(0)
		for range 3 {
			s.now = s.now.Add(8 * time.Hour)
			s.advance(rotation.Options{})
		}
	}},
	{"a key that ends while creating the next one fails", func(s *tale) {
		s.lasts(60)
		s.turns(0, 46)
		for _, n := range []int{1, 7, 5, 2} {
			s.faults.Next("issuer.create", memory.Fault{Before: errDenied})
			s.turns(n)
		}
		s.turns(1)
	}},
	{"a handed-in key that ends", func(s *tale) {
		s.lasts(30, 0)
		c := s.keys.Plant()
		s.days(1)
		s.adopt(rotation.AdoptOptions{Credential: c})
		s.turns(1, 19, 10, 2)
	}},
}
