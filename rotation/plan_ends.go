package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// A credential may end by itself although its issuer's credentials otherwise last
// until they're deleted: the issuer caps lifetimes, or whoever made it gave it an
// end. Then its rotation is due early enough before that end, whatever its age.

// endReserve is what's left between an early rotation's latest planned time and
// the credential's end, on top of the grace period: more than two days of retries,
// and a day for a person.
const endReserve = 3 * rota.Day

// leaseOfLife is the part of a credential's life that's left at most when an early
// rotation is due, so that a short-lived credential is used for most of its life.
const leaseOfLife = 3

// margin returns how long before its end a credential that lasts for life is due
// for rotation: long enough that it outlasts the previous one's grace period, but a
// third of its life at most.
func (p Policy) margin(life time.Duration, deletesActive bool) time.Duration {
	grace := p.DeactivatePreviousAfter
	switch {
	case p.Retire == RetireBeforeCreate:
		grace = p.UnusedFor
	case deletesActive:
		grace = p.DeletePreviousAfter
	}
	return max(min(grace+endReserve, life/leaseOfLife), 0)
}

// openBy returns the first time at or after t at which a rotation can start, if
// that's no later than last. Otherwise it returns one in the last window between from
// and t, or a day before a blackout, and t if there's none: then no window or blackout
// is kept.
func (p Policy) openBy(t, from, last time.Time) time.Time {
	if at := p.open(t); !at.After(last) {
		return at
	}
	if !from.Before(t) || p.open(from).After(last) {
		return t
	}
	earliest := from
	for t.Sub(from) > time.Minute { // open never goes back, so halving finds it
		middle := from.Add(t.Sub(from) / 2)
		if p.open(middle).After(last) {
			t = middle
		} else {
			from = middle
		}
	}
	at := p.open(from) // the window is about to close, or the blackout to begin
	before := at.Add(-rota.Day).Truncate(time.Minute)
	if p.Window != nil {
		before, _ = p.Window.Next(at.Add(-p.Window.For))
	}
	before = maxTime(before, earliest)
	if before.Before(at) && p.open(before).Equal(before) {
		return before
	}
	return at
}

// ending is a rotation that's due before the policy's date, because the current
// credential ends.
type ending struct {
	// due is when it's due, and last the latest time that a window, a blackout, a
	// peer or a rollback can put it off until.
	due, last time.Time
	end       time.Time // of the credential
}

// endsAt returns when a version's credential ends by itself, or false if it doesn't
// as far as is known, or if the next one would end at the same time. The issuer's
// list says so, now or when it was last asked; otherwise the credential may.
func (v *view) endsAt(version rota.Version) (time.Time, bool) {
	if v.Traits.Lifetime > 0 || version.ID == "" {
		return v.cutShort(version)
	}
	c, there := v.issued(version.CredentialID)
	if shared := version.CredentialID == v.current.CredentialID && version.ID != v.current.ID; shared {
		there = false // it's the list's word on the current one
	}
	end := c.ExpiresAt
	switch {
	case there && c.EndsWithAccount:
		return time.Time{}, false
	case !there:
		end = v.Progress.Versions[version.ID].EndsAt
	}
	if end.IsZero() {
		end = version.ExpiresAt
	}
	return end, !end.IsZero()
}

// over reports whether a version's credential has ended by itself.
func (v *view) over(version rota.Version) bool {
	end, ends := v.endsAt(version)
	return ends && !v.now.Before(end)
}

// isOverUnused reports whether the previous credential has ended by itself, so that
// nobody can use it any more, and nobody was seen to since.
func (v *view) isOverUnused(u rota.Use) bool {
	end, ends := v.endsAt(v.previous)
	return ends && !v.now.Before(end.Add(EndMargin)) && !u.At.After(end)
}

// early returns the early rotation of the current credential, or false if it
// doesn't end before the policy rotates it, if the policy rotates nothing, or if the
// last early rotation has shown that it doesn't change the end.
func (v *view) early() (ending, bool) {
	end, ends := v.endsAt(v.current)
	if !ends || end.Equal(v.Progress.Versions[v.current.ID].EarlyFor) { // a new one has the same end
		return ending{}, false
	}
	policed, ever := v.policy.due(v.Secret, v.issuedAt(), v.Progress.NotBefore)
	if !ever {
		return ending{}, false
	}
	life := max(end.Sub(v.issuedAt()), 0)
	margin := v.policy.margin(life, v.deletesActive())
	latest := end.Add(-margin)
	if !policed.After(latest) {
		return ending{}, false
	}
	e := ending{last: end.Add(-margin / 2), end: end}
	due := latest.Add(-spread(v.Secret, min(v.policy.Jitter, margin/2)))
	due = earlier(maxTime(due, v.Progress.NotBefore), e.last)
	e.due = v.policy.openBy(due, end.Add(-2*life/leaseOfLife), e.last)
	return e, true
}

// canWait reports whether the current credential's rotation can be put off until a
// time without risking that the credential ends first.
func (v *view) canWait(until time.Time) bool {
	e, early := v.early()
	return !early || !until.After(e.last)
}

// isEnding reports whether the current credential ends so soon that its rotation
// can't be put off any more.
func (v *view) isEnding() bool { return !v.canWait(v.now) }

// makesWay returns when the previous credential's retirement is due if the next
// rotation comes early: at, or when that rotation is due.
func (v *view) makesWay(at time.Time) time.Time {
	e, early := v.early()
	if !early {
		return at
	}
	return earlier(at, e.due)
}

// why says what makes the rotation early.
func (e ending) why(now time.Time) string {
	if !now.Before(e.end) {
		return "it ended at " + stamp(e.end)
	}
	return "it ends at " + stamp(e.end)
}

// retryEnding returns when to try again what failed at a time, at the latest: after
// a quarter of what's left of the current credential's life. Once that's over, it's
// tried every ten minutes.
func (v *view) retryEnding(failed time.Time) time.Time {
	e, early := v.early()
	if !early {
		return v.someday()
	}
	if left := e.end.Sub(failed); left > 0 {
		return failed.Add(max(left/4, time.Minute))
	}
	return failed.Add(10 * time.Minute)
}
