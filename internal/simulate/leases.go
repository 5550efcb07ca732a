package simulate

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// Credentials that end unless they're renewed, as Vault's leases do. What Rota has current
// is alive, whatever else is held, paused, frozen or failing, unless renewing itself was
// impossible for longer than a renewal lasts (rule 1).

// leases are the sessions of a secret that end unless they're renewed.
type leases struct {
	renewFor time.Duration
	until    map[string]time.Time // when each one ends, as the issuer last said
}

// lease makes the sessions of a secret end unless they're renewed.
func (s *subject) lease(o *memory.SessionsOptions) {
	s.leases = &leases{renewFor: time.Hour + time.Duration(s.rare.Int64N(int64(o.Lifetime/4))), until: map[string]time.Time{}}
	o.RenewFor = s.leases.renewFor
}

type watchedLeases struct {
	watchedPlain
	rota.Renewer
}

// followLeases remembers when leases end, and checks those that consumers may have.
func (s *subject) followLeases() {
	if s.leases == nil {
		return
	}
	for _, k := range s.temp.Keys() {
		s.leases.until[k.ID] = k.ExpiresAt
	}
	id := s.idOf(rota.LabelCurrent)
	if end, known := s.leases.until[id]; known && !s.active(id) && !s.unrenewable(id, end) {
		s.violate(1, "%s ended at %s, while it was current, because nobody renewed it", id, stamp(end))
	}
}

// unrenewable reports whether a lease that ended at a time couldn't be renewed before:
// something went wrong or a person was in the way while it could have been, the daemon
// wasn't running, or it isn't Rota's.
func (s *subject) unrenewable(id string, end time.Time) bool {
	from := end.Add(-s.leases.renewFor - patience)
	t := &s.truth
	if s.w.faultySince(from, end) || s.disturbedSince(from) || !t.lostAt.Before(from) || len(s.denied) > 0 || !t.mine[id] || t.foreign[t.current] {
		return true
	}
	for _, p := range s.w.down {
		if p.to.After(from) && p.from.Before(end) {
			return true
		}
	}
	return false
}

// lapsed reports whether a consumer's lease ended before it's meant to and couldn't be
// renewed.
func (s *subject) lapsed(c *consumer) bool {
	if s.leases == nil {
		return false
	}
	id := s.issuer.CredentialID(c.credential)
	end, known := s.leases.until[id]
	return !known || s.now.Before(c.credential.ExpiresAt()) && !s.now.Before(end) && s.unrenewable(id, end)
}

// endsUnrenewed reports whether the current lease can't be kept alive, so that its
// successor is due.
func (s *subject) endsUnrenewed() bool {
	return s.leases != nil && s.leases.until[s.idOf(rota.LabelCurrent)].Sub(s.now) < s.leases.renewFor/2
}

// failsToRenew reports whether a renewal that failed is remembered.
func failsToRenew(p rotation.Progress) bool {
	for _, v := range p.Versions {
		if v.Renewed.Attempts > 0 {
			return true
		}
	}
	return false
}
