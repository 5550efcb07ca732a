package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// EndMargin is the latest that the successor of an expiring credential is
// created, as a time before the expiry: clocks differ, and consumers need time to
// pick up the new one.
const EndMargin = 5 * time.Minute

// Renewal returns the age at which an expiring credential is renewed if the policy
// doesn't say: when a third of its lifetime is left, and at least [EndMargin].
func Renewal(life time.Duration) time.Duration { return life - max(life/3, EndMargin) }

// ForLifetime adapts a policy to credentials that expire after life; 0 leaves it
// unchanged. Expiring credentials are renewed in time whatever windows, blackouts
// and peers say, they don't have to be retired, and warnings about lateness and
// expiry are sent while there's still time to act.
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

// validateLifetime returns errors for settings that would let a credential expire
// before its successor is in use, or that don't apply to credentials that expire.
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

// sooner returns the shorter of two durations, ignoring the first if it's 0.
func sooner(set, most time.Duration) time.Duration {
	if set == 0 {
		return most
	}
	return min(set, most)
}
