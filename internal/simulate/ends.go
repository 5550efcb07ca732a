package simulate

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// endsOneIn is how many secrets with keys there are for each whose keys end by
// themselves, sometimes before the policy rotates them.
const endsOneIn = 3

// endingKeys are the keys of a secret that end by themselves.
type endingKeys struct {
	made, end map[string]time.Time
}

// lasts returns how long a new key lasts: about as long as the policy's period, or
// until it's deleted. The one before can be retired in that time: otherwise there's no
// place for the next, and only a person could make one.
func (s *subject) lasts(int) time.Duration {
	if s.rare.IntN(4) == 0 {
		return 0
	}
	p := s.policy.WithDefaults()
	retired := p.UnusedFor
	if p.Retire != rotation.RetireBeforeCreate {
		retired = max(p.UnusedFor, p.DeactivatePreviousAfter) + p.DeletePreviousAfter - p.DeactivatePreviousAfter
	}
	life := p.RotateEvery/2 + time.Duration(s.rare.Int64N(int64(p.RotateEvery*3/4)))
	return max(life, retired*5/4+rota.Day)
}

// followEnds remembers when keys end, and has that checked then.
func (s *subject) followEnds() {
	if s.ending == nil {
		return
	}
	for _, k := range s.keys.Keys() {
		if _, known := s.ending.made[k.ID]; known || k.ExpiresAt.IsZero() {
			continue
		}
		s.ending.made[k.ID], s.ending.end[k.ID] = k.CreatedAt, k.ExpiresAt
		s.at(k.ExpiresAt, "end", func(context.Context) {
			s.note("ended", k.ID, "")
			if k.ID == s.idOf(rota.LabelCurrent) && s.calmBefore(k.ID) {
				s.violate(1, "%s ended while it was current", k.ID)
			}
		})
	}
}

// reserve is how long before a key's end its rotation is due, at most.
func (s *subject) reserve(id string) time.Duration {
	grace := s.policy.DeactivatePreviousAfter
	switch {
	case s.policy.Retire == rotation.RetireBeforeCreate:
		grace = s.policy.WithDefaults().UnusedFor
	case s.tokens:
		grace = s.policy.DeletePreviousAfter
	}
	life := s.ending.end[id].Sub(s.ending.made[id])
	return min(grace+3*rota.Day, life/3)
}

// ended reports whether a key has ended by itself.
func (s *subject) ended(id string) bool {
	return s.ending != nil && !s.ending.end[id].IsZero() && !s.now.Before(s.ending.end[id])
}

// calmBefore reports whether a key's successor could be made before it ended: nothing
// went wrong in the time before, no person was in the way, and the daemon was running.
func (s *subject) calmBefore(id string) bool {
	from := s.ending.end[id].Add(-s.reserve(id) - patience)
	if s.w.faultySince(from, s.now) || s.disturbedSince(from) || !s.truth.lostAt.Before(from) || !s.truth.currentSince.Before(from) {
		return false
	}
	for _, p := range s.w.down {
		if p.to.After(from) && p.from.Before(s.now) {
			return false
		}
	}
	hold := s.truth.progress.Status.Hold // a previous key that's in use keeps its place, and only a person can say otherwise
	return s.truth.mine[id] && !s.truth.foreign[s.truth.current] && hold != rotation.HoldPaused && hold != rotation.HoldFrozen && hold != rotation.HoldInUse
}

// early returns the earliest and the latest time at which the rotation of the current
// key is due because it ends, given the policy's own date.
func (s *subject) early(policed time.Time) (first, last time.Time) {
	id := s.idOf(rota.LabelCurrent)
	if s.ending == nil || s.ending.end[id].IsZero() {
		return policed, policed
	}
	end := s.ending.end[id]
	if r := s.reserve(id); policed.After(end.Add(-r)) {
		return s.ending.made[id].Add(end.Sub(s.ending.made[id]) / 3), end.Add(-r / 2)
	}
	return policed, policed
}

// endsSoon reports whether the current key's rotation is due because it ends, which
// cuts the previous one's grace short.
func (s *subject) endsSoon() bool {
	due, ok := s.policedAt()
	first, last := s.early(due)
	return ok && !first.Equal(last) && !s.now.Before(first)
}
