package rota

import (
	"errors"
	"fmt"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"
)

// RetireStyle says when the previous credential is retired.
type RetireStyle string

// The styles.
const (
	// AfterGrace retires the previous credential when its grace is over.
	AfterGrace RetireStyle = "after_grace"
	// BeforeCreate keeps it until the next rotation is due, and retires it
	// just before the next is created.
	BeforeCreate RetireStyle = "before_create"
)

// Policy says when a secret is rotated and its previous credential retired.
// All durations are counted by Rota's clock, in UTC.
type Policy struct {
	// RotateEvery is how old a credential may grow. 0 means never by itself.
	RotateEvery time.Duration
	// Retire defaults to AfterGrace.
	Retire RetireStyle
	// DeactivatePreviousAfter counts from when the successor was delivered
	// and its consumers reloaded.
	DeactivatePreviousAfter time.Duration
	// DeletePreviousAfter counts from the same moment; between the
	// deactivation and the deletion lies at least the difference of the two.
	DeletePreviousAfter time.Duration
	// UnusedFor is how long the issuer must have seen no use of the previous
	// credential before it is deactivated. Defaults to seven days, or
	// DeactivatePreviousAfter where that is shorter, but not less than a day:
	// what issuers report lags by hours.
	UnusedFor time.Duration
	// Window, if any, is when rotations may begin and previous credentials be
	// deactivated. What has begun is finished outside it too.
	Window *Window
	// MaxAttempts is how often a failing step is tried before only a person
	// can lift it. Defaults to 20, which is more than two days of trying.
	MaxAttempts int
	// LateAfter is how long what is due may wait before it counts as late.
	// Defaults to 24 hours.
	LateAfter time.Duration
}

// WithDefaults fills in what is not set.
func (p Policy) WithDefaults() Policy {
	if p.Retire == "" {
		p.Retire = AfterGrace
	}
	if p.UnusedFor == 0 {
		p.UnusedFor = 7 * Day
		if p.Retire == AfterGrace {
			p.UnusedFor = max(min(p.UnusedFor, p.DeactivatePreviousAfter), Day)
		}
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 20
	}
	if p.LateAfter == 0 {
		p.LateAfter = Day
	}
	return p
}

// Validate says what makes a policy impossible for an issuer with such traits.
func (p Policy) Validate(t Traits) error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"rotate_every", p.RotateEvery},
		{"deactivate_previous_after", p.DeactivatePreviousAfter},
		{"delete_previous_after", p.DeletePreviousAfter},
		{"unused_for", p.UnusedFor},
		{"late_after", p.LateAfter},
	} {
		if d.value < 0 {
			refuse("%s is negative", d.name)
		}
	}
	if p.Retire != AfterGrace && p.Retire != BeforeCreate && p.Retire != "" {
		refuse("retire_previous is %q (try: after_grace, before_create)", p.Retire)
	}
	if p.Window != nil && p.RotateEvery == 0 {
		refuse("a window without rotate_every never opens for anything (try: rotate_every: 90d)")
	}
	if !t.Overlap() || p.Retire == BeforeCreate {
		return errors.Join(errs...)
	}
	if p.DeletePreviousAfter < p.DeactivatePreviousAfter {
		refuse("delete_previous_after (%s) is before deactivate_previous_after (%s)",
			FormatDuration(p.DeletePreviousAfter), FormatDuration(p.DeactivatePreviousAfter))
	}
	if p.RotateEvery > 0 && p.DeletePreviousAfter >= p.RotateEvery {
		refuse("delete_previous_after (%s) must be shorter than rotate_every (%s), or the previous %s still takes a place when the next is due (try: a shorter delete_previous_after, or retire_previous: before_create)",
			FormatDuration(p.DeletePreviousAfter), FormatDuration(p.RotateEvery), t.Kind)
	}
	return errors.Join(errs...)
}

// Window is a recurring span of time: it opens by a cron expression and stays
// open for a while.
type Window struct {
	opens cron.Schedule
	For   time.Duration
	Zone  *time.Location
	Spec  string
}

// ParseWindow reads a window: five cron fields, how long it stays open, and an
// IANA time zone ("" for UTC).
func ParseWindow(spec string, open time.Duration, zone string) (*Window, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fmt.Errorf("time zone %q: not known (try: Europe/Berlin, UTC)", zone)
	}
	if strings.ContainsAny(spec, "@=") {
		return nil, fmt.Errorf("cron %q: five fields are needed, without a zone or an interval (try: 0 9 * * MON-FRI)", spec)
	}
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w (try: 0 9 * * MON-FRI)", spec, err)
	}
	if open <= 0 || open > 31*Day {
		return nil, fmt.Errorf("window is open for %s: must be more than nothing and at most 31d", FormatDuration(open))
	}
	w := &Window{opens: schedule, For: open, Zone: location, Spec: spec}
	if _, ok := w.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return nil, fmt.Errorf("cron %q never comes", spec)
	}
	return w, nil
}

// Next is the first moment at or after t at which the window is open: t itself
// where it is open now.
func (w *Window) Next(t time.Time) time.Time {
	if w == nil {
		return t
	}
	// An opening in the span (t - For, t] keeps the window open now.
	opening, ok := w.next(t.Add(-w.For))
	if !ok {
		return t.AddDate(100, 0, 0)
	}
	if opening.After(t) {
		return opening
	}
	return t
}

// next is the first opening after t. The schedule looks some years ahead and
// then gives up; between two leap days there may be eight.
func (w *Window) next(t time.Time) (time.Time, bool) {
	for _, years := range []int{0, 4, 8} {
		if n := w.opens.Next(t.In(w.Zone).AddDate(years, 0, 0)); !n.IsZero() {
			return n.UTC(), true
		}
	}
	return time.Time{}, false
}

// String describes the window for people.
func (w *Window) String() string {
	return fmt.Sprintf("cron %q for %s in %s", w.Spec, FormatDuration(w.For), w.Zone)
}
