package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// statusOf is how the secret stands by a decision. What only an earlier look
// could see, and how long a hold has lasted, come from the status before.
func statusOf(d Decision, b basis, before Status) Status {
	s := Status{
		DueAt: d.Due, Next: d.Next, NextAt: d.At, Hold: d.Hold, Unfinished: d.Unfinished, Reason: d.Reason, Remedies: d.Remedies,
		Version: b.current.ID, Credential: b.current.CredentialID, IssuedAt: b.issuedAt, RotateAt: b.rotateAt, ExpiresAt: b.expiresAt,
		RenewAt: b.renewAt, LastsUntil: b.lastsUntil, PreviousID: b.previous.CredentialID,
	}
	if d.Step != rota.StepNone {
		s.Next = d.Step
	}
	if d.Hold != HoldNone && d.Hold == before.Hold {
		s.DueAt = earlier(before.DueAt, s.DueAt)
	}
	if b.unlisted && before.Version == s.Version {
		// Only the issuer knows since when an adopted credential exists.
		s.IssuedAt, s.RotateAt = before.IssuedAt, before.RotateAt
		if s.ExpiresAt.IsZero() {
			s.ExpiresAt = before.ExpiresAt
		}
	}
	return s
}

// afterFailure is the status of a turn that ended with an error: that of its
// failure f, or of a credential that was rejected for it where f is nil.
func (s Status) afterFailure(f *Failure, before Status, now time.Time) Status {
	if f != nil {
		s.NextAt, s.Reason, s.Remedies = f.RetryAt, string(f.Step)+" failed: "+f.Error, f.Remedies
		if s.DueAt.IsZero() {
			s.DueAt = f.At
		}
		if f.Attempts > 1 {
			s.DueAt = earlier(before.DueAt, s.DueAt) // the same failure, since then
		}
	}
	if s.NextAt.IsZero() {
		s.NextAt = now.Add(failureBackoff(rota.ClassWait, 1)) // on to the next credential
	}
	if s.Version == "" {
		// The store could not be read: keep what was known.
		s.Version, s.Credential, s.IssuedAt, s.RotateAt = before.Version, before.Credential, before.IssuedAt, before.RotateAt
		s.ExpiresAt, s.RenewAt, s.LastsUntil = before.ExpiresAt, before.RenewAt, before.LastsUntil
	}
	return s
}

// renewsBy is when to look again for the sake of a credential that has to be renewed,
// whatever failed now; a hundred years from now if there's none.
func (s Status) renewsBy(now time.Time) time.Time {
	left := s.LastsUntil.Sub(now)
	switch {
	case s.RenewAt.IsZero():
		return now.AddDate(100, 0, 0)
	case s.RenewAt.After(now):
		return s.RenewAt
	case left > 0:
		return now.Add(max(left/4, 30*time.Second))
	}
	return now.Add(10 * time.Minute)
}

// earlier is the earlier of two moments, of which the first may not be set.
func earlier(set, t time.Time) time.Time {
	if !set.IsZero() && set.Before(t) {
		return set
	}
	return t
}
