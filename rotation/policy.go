package rotation

import (
	"cmp"
	"errors"
	"time"

	"github.com/rota-dev/rota"
)

// RetireStyle says when the previous credential is retired.
type RetireStyle string

// The styles.
const (
	// RetireAfterGrace retires the previous credential when its grace period
	// ends.
	RetireAfterGrace RetireStyle = "after_grace"
	// RetireBeforeCreate keeps the previous credential until the next rotation
	// is due, and retires it just before the next one is created.
	RetireBeforeCreate RetireStyle = "before_create"
)

// Policy says when a secret is rotated and when its previous credential is
// retired. All durations are measured by Rota's clock, in UTC.
type Policy struct {
	// RotateEvery is the maximum age of a credential. 0 means that Rota doesn't
	// rotate it by itself, unless RotateAt is set.
	RotateEvery time.Duration
	// RotateAt, if set, is the schedule to rotate on, instead of RotateEvery.
	RotateAt *Cron
	// Jitter spreads the rotations of a fleet. Each secret has its own fixed
	// part of it, by which it's rotated before RotateEvery is over, or after
	// RotateAt or after its window opens.
	Jitter time.Duration
	// Retire defaults to [RetireAfterGrace].
	Retire RetireStyle
	// DeactivatePreviousAfter is the grace period, counted from when the new
	// credential was delivered and its consumers reloaded.
	DeactivatePreviousAfter time.Duration
	// DeletePreviousAfter counts from the same time. Between deactivation and
	// deletion, at least the difference of the two passes.
	DeletePreviousAfter time.Duration
	// UnusedFor is how long the issuer must have seen no use of the previous
	// credential before it's deactivated. Defaults to seven days; with
	// [RetireAfterGrace], to DeactivatePreviousAfter if that's shorter, but no
	// less than a day, because issuers' reports lag by hours.
	UnusedFor time.Duration
	// RetireWhen, if set, retires the previous credential only when no instance
	// holds it.
	RetireWhen *RetireWhen
	// Window, if set, is when rotations can begin and previous credentials can
	// be deactivated. In-flight work is finished even outside it.
	Window *Window
	// Blackouts are periods in which nothing starts that can wait.
	Blackouts []Blackout
	// ApartFrom lists secrets that must not be rotated at about the same time.
	ApartFrom []Apart
	// WarnBefore is how far ahead to warn of an expiry, or of a rotation that a
	// person has to do. Defaults to 14 days.
	WarnBefore time.Duration
	// MaxAttempts is how often a failing step is tried before it's quarantined
	// until a person acts. Defaults to 20, which is more than two days of
	// retries.
	MaxAttempts int
	// TestWithin is how long a new credential may take to pass its test if
	// setting it invalidated the one in use, which is then put back. Defaults to
	// 30 seconds.
	TestWithin time.Duration
	// DriftCheck is how to find out whether the current credential is in force.
	// Defaults to [DriftLogin].
	DriftCheck DriftCheck
	// LateAfter is how long something can be overdue before it counts as late.
	// Defaults to 24 hours.
	LateAfter time.Duration
}

// WithDefaults returns the policy with the defaults filled in.
func (p Policy) WithDefaults() Policy {
	if p.Retire == "" {
		p.Retire = RetireAfterGrace
	}
	if p.UnusedFor == 0 {
		p.UnusedFor = 7 * rota.Day
		if p.Retire == RetireAfterGrace {
			p.UnusedFor = max(min(p.UnusedFor, p.DeactivatePreviousAfter), rota.Day)
		}
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 20
	}
	if p.TestWithin == 0 {
		p.TestWithin = 30 * time.Second
	}
	if p.LateAfter == 0 {
		p.LateAfter = rota.Day
	}
	if p.WarnBefore == 0 {
		p.WarnBefore = 14 * rota.Day
	}
	return p
}

// PolicyError is one thing that makes a policy invalid.
type PolicyError struct {
	Key  string // the policy's key in rota.yaml that's wrong
	Text string
}

// Error returns the text.
func (e *PolicyError) Error() string { return e.Text }

// Validate returns what makes the policy invalid for an issuer with these traits.
// The errors that it joins are of type [*PolicyError].
func (p Policy) Validate(t rota.Traits) error {
	var errs []error
	refuse := func(key, hint, format string, args ...any) {
		errs = append(errs, impossible(key, hint, format, args...))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"rotate_every", p.RotateEvery},
		{"deactivate_previous_after", p.DeactivatePreviousAfter},
		{"delete_previous_after", p.DeletePreviousAfter},
		{"unused_for", p.UnusedFor},
		{"test_within", p.TestWithin},
		{"late_after", p.LateAfter},
		{"jitter", p.Jitter},
		{"warn_before", p.WarnBefore},
	} {
		if d.value < 0 {
			refuse(d.name, "", "%s is negative", d.name)
		}
	}
	if p.Retire != RetireAfterGrace && p.Retire != RetireBeforeCreate && p.Retire != "" {
		refuse("retire_previous", "after_grace, before_create", "retire_previous is %q", p.Retire)
	}
	if p.RetireWhen != nil {
		switch {
		case p.RetireWhen.Within < LeastWithin:
			refuse("retire_when", "within: "+rota.FormatDuration(LeastWithin)+" or more", "retire_when.within (%s) is shorter than a server may need to restart", rota.FormatDuration(p.RetireWhen.Within))
		case t.Lifetime > 0 || !t.Overlap():
			refuse("retire_when", "remove it", "retire_when says when to retire the previous %s, and there's none to retire: it ends by itself", cmp.Or(t.Kind, "credential"))
		}
	}
	if p.RotateEvery > 0 && p.RotateAt != nil {
		refuse("rotate_at", "one of them", "rotate_at and rotate_every both say when to rotate")
	}
	if p.Window != nil && !p.Rotates() {
		refuse("window", "rotate_every: 90d", "a window without rotate_every never opens for anything")
	}
	if p.RotateEvery > 0 && p.Jitter >= p.RotateEvery {
		refuse("jitter", "less than "+rota.FormatDuration(p.RotateEvery), "jitter (%s) must be shorter than rotate_every (%s)", rota.FormatDuration(p.Jitter), rota.FormatDuration(p.RotateEvery))
	}
	if t.Lifetime > 0 {
		return errors.Join(append(errs, p.validateLifetime(t)...)...)
	}
	if least := max(leastEvery, t.ConsistencyDelay); p.RotateEvery > 0 && p.RotateEvery < least {
		refuse("rotate_every", rota.FormatDuration(least)+" or more", "rotate_every (%s) is shorter than a rotation may take", rota.FormatDuration(p.RotateEvery))
	}
	if t.EndsAfter > 0 && p.RotateEvery >= t.EndsAfter {
		refuse("rotate_every", "less than "+rota.FormatDuration(t.EndsAfter)+", or a longer-lived "+t.Kind, "each %s ends by itself after %s, before rotate_every (%s) is over",
			t.Kind, rota.FormatDuration(t.EndsAfter), rota.FormatDuration(p.RotateEvery))
	}
	for _, a := range p.ApartFrom {
		switch {
		case a.By <= 0:
			refuse("apart_from", "by: 12h", "apart_from %s: by is missing", a.Secret)
		case p.RotateEvery > 0 && a.By >= p.RotateEvery:
			refuse("apart_from", "a shorter by", "apart_from %s: %s apart is impossible with a rotation every %s", a.Secret, rota.FormatDuration(a.By), rota.FormatDuration(p.RotateEvery))
		}
	}
	if !t.Overlap() {
		return errors.Join(errs...)
	}
	if every := p.RotateEvery - p.Jitter; every > 0 && p.UnusedFor > 0 && p.retiredAfter() >= every {
		refuse("unused_for", "a shorter unused_for, or a longer rotate_every", "with unused_for (%s), the previous %s takes its place for at least %s after a rotation, and the next is due after %s",
			rota.FormatDuration(p.UnusedFor), t.Kind, rota.FormatDuration(p.retiredAfter()), rota.FormatDuration(every))
	}
	if p.Retire == RetireBeforeCreate {
		return errors.Join(errs...)
	}
	if p.DeletePreviousAfter < p.DeactivatePreviousAfter {
		refuse("delete_previous_after", "", "delete_previous_after (%s) is before deactivate_previous_after (%s)",
			rota.FormatDuration(p.DeletePreviousAfter), rota.FormatDuration(p.DeactivatePreviousAfter))
	}
	if every := p.RotateEvery - p.Jitter; every > 0 && p.DeletePreviousAfter >= every {
		jitter := ""
		if p.DeletePreviousAfter < p.RotateEvery {
			jitter = " less its jitter"
		}
		refuse("delete_previous_after", "a shorter delete_previous_after, or retire_previous: before_create", "delete_previous_after (%s) must be shorter than rotate_every (%s)%s, or the previous %s still takes a place when the next is due",
			rota.FormatDuration(p.DeletePreviousAfter), rota.FormatDuration(p.RotateEvery), jitter, t.Kind)
	}
	return errors.Join(errs...)
}

// leastEvery is the shortest period, unless the issuer's consistency delay is
// longer.
const leastEvery = 2 * time.Second

// retiredAfter is how soon after a rotation the previous credential can be gone,
// if it's last used at that moment.
func (p Policy) retiredAfter() time.Duration {
	if p.Retire == RetireBeforeCreate {
		return p.UnusedFor
	}
	return max(p.UnusedFor, p.DeactivatePreviousAfter) + max(p.DeletePreviousAfter-p.DeactivatePreviousAfter, 0)
}

// Rotates reports whether the policy rotates anything by itself.
func (p Policy) Rotates() bool { return p.RotateEvery > 0 || p.RotateAt != nil }
