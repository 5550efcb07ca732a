package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// EndMargin is how long before the end of a credential that ends by itself its
// successor is made at the latest: clocks differ, and consumers need time to
// take the new one up.
const EndMargin = 5 * time.Minute

// Renewal is how old a credential that ends by itself grows where the policy
// does not say: a third of its life is left, and [EndMargin] at least.
func Renewal(life time.Duration) time.Duration { return life - max(life/3, EndMargin) }

// ForLifetime fits a policy to credentials that end by themselves after a
// while; 0 leaves it as it is. They are renewed in time whatever windows,
// blackouts and peers say, nothing has to be retired, and whatever is late or about
// to expire is notified while there is still time.
func (p Policy) ForLifetime(life time.Duration) Policy {
	if life == 0 {
		return p
	}
	latest := life - EndMargin
	if p.RotateEvery == 0 {
		p.RotateEvery = Renewal(life)
	}
	p.RotateEvery = min(p.RotateEvery, latest)
	p.Jitter = min(p.Jitter, p.RotateEvery/2)
	p.RotateAt, p.Window, p.Blackouts, p.ApartFrom = nil, nil, nil, nil
	p.Retire, p.DeactivatePreviousAfter, p.DeletePreviousAfter, p.UnusedFor = RetireAfterGrace, 0, 0, 0
	left := life - p.RotateEvery
	p.WarnBefore = sooner(p.WarnBefore, left/2)
	p.LateAfter = sooner(p.LateAfter, left/2)
	return p
}

// validateLifetime says what would let a credential end before its successor is
// in use, or has no meaning for one that ends by itself.
func (p Policy) validateLifetime(t rota.Traits) []error {
	var errs []error
	refuse := func(key, hint, format string, args ...any) {
		errs = append(errs, impossible(key, hint, format, args...))
	}
	if latest := t.Lifetime - EndMargin; p.RotateEvery > latest {
		refuse("rotate_every", rota.FormatDuration(Renewal(t.Lifetime))+", or a longer duration", "rotate_every (%s) is longer than the %s that a %s of %s may grow old, %s before its end",
			rota.FormatDuration(p.RotateEvery), rota.FormatDuration(latest), t.Kind, rota.FormatDuration(t.Lifetime), rota.FormatDuration(EndMargin))
	}
	for _, wait := range []struct {
		name  string
		given bool
	}{{"rotate_at", p.RotateAt != nil}, {"window", p.Window != nil}, {"blackouts", len(p.Blackouts) > 0}, {"apart_from", len(p.ApartFrom) > 0}} {
		if wait.given {
			refuse(wait.name, "rotate_every: "+rota.FormatDuration(Renewal(t.Lifetime)), "%s would let a %s end before its successor is made", wait.name, t.Kind)
		}
	}
	for _, grace := range []struct {
		name  string
		given bool
	}{
		{"retire_previous", p.Retire == RetireBeforeCreate}, {"deactivate_previous_after", p.DeactivatePreviousAfter > 0},
		{"delete_previous_after", p.DeletePreviousAfter > 0}, {"unused_for", p.UnusedFor > 0},
	} {
		if grace.given {
			refuse(grace.name, "leave it out", "%s has no meaning: a %s ends by itself and can't be retired before", grace.name, t.Kind)
		}
	}
	return errs
}

// sooner is the lesser of two durations of which the first may not be set.
func sooner(set, most time.Duration) time.Duration {
	if set == 0 {
		return most
	}
	return min(set, most)
}
