package rotation

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"
	"github.com/rota-dev/rota"
)

// Cron is a recurring schedule given by a cron expression.
type Cron struct {
	schedule cron.Schedule
	Zone     *time.Location
	Spec     string
}

// Window is a recurring period of time. It opens on a cron schedule and stays
// open for For.
type Window struct {
	Cron
	For time.Duration
}

// impossible returns a [PolicyError] whose remedy is what to write instead.
func impossible(key, hint, format string, args ...any) error {
	return rota.WithRemedies(&PolicyError{Key: key, Text: fmt.Sprintf(format, args...)}, rota.Configure(key, hint))
}

// cronReader takes five fields, and SUN#1 or FRI#L for the first or last such day
// of a month.
var cronReader = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowNth | cron.DowLast)

// ParseCron parses five cron fields and an IANA time zone ("" for UTC). Only one
// of the two fields for days can be restricted: POSIX's cron takes a day that
// matches either of them, others one that matches both. If a daylight saving
// change skips a scheduled time, the schedule fires right after
// the change; if a time occurs twice, it fires once. Errors are of type
// [*PolicyError].
func ParseCron(spec, zone string) (*Cron, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, impossible("timezone", "Europe/Berlin, UTC", "time zone %q: not known", zone)
	}
	if strings.ContainsAny(spec, "@=") {
		return nil, impossible("cron", "0 9 * * MON-FRI", "cron %q: five fields are needed, without a zone or an interval", spec)
	}
	schedule, err := cronReader.Parse(spec)
	if err != nil {
		return nil, impossible("cron", "0 9 * * MON-FRI", "cron %q: %v", spec, err)
	}
	if fields := strings.Fields(spec); restricted(fields[2]) && restricted(fields[4]) {
		return nil, impossible("cron", "one of the two; 0 9 * * SUN#1 is the first Sunday of each month", "cron %q: both a day of the month and a day of the week, which may mean either or both", spec)
	}
	c := &Cron{schedule: schedule, Zone: location, Spec: spec}
	if _, ok := c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return nil, impossible("cron", "", "cron %q never comes", spec)
	}
	return c, nil
}

// restricted reports whether a cron field for days leaves some out by itself.
func restricted(field string) bool { return field[0] != '*' && field[0] != '?' }

// Next returns the first scheduled time after t, or false if there is none. The
// cron library only searches a few years ahead, but leap days can be eight years
// apart.
func (c *Cron) Next(t time.Time) (time.Time, bool) {
	for _, years := range []int{0, 4, 8} {
		if n := c.schedule.Next(t.In(c.Zone).AddDate(years, 0, 0)); !n.IsZero() {
			return n.UTC(), true
		}
	}
	return time.Time{}, false
}

// ParseWindow parses a window: five cron fields, how long it stays open, and an
// IANA time zone ("" for UTC). Errors are of type [*PolicyError].
func ParseWindow(spec string, open time.Duration, zone string) (*Window, error) {
	opens, err := ParseCron(spec, zone)
	if err != nil {
		return nil, err
	}
	if open <= 0 || open > 31*rota.Day {
		return nil, impossible("for", "", "window is open for %s: must be more than nothing and at most 31d", rota.FormatDuration(open))
	}
	return &Window{Cron: *opens, For: open}, nil
}

// Open returns the first time at or after t at which the window is open. That's t
// itself if the window is open then, or if w is nil.
func (w *Window) Open(t time.Time) time.Time {
	if w == nil {
		return t
	}
	// If the window opened in (t - For, t], it's still open.
	opening, ok := w.Next(t.Add(-w.For))
	if !ok {
		return t.AddDate(100, 0, 0)
	}
	return maxTime(opening, t)
}

// missed reports whether the window that's open now opened after due: the one that
// was open then has closed.
func (w *Window) missed(due, now time.Time) bool {
	opening, _ := w.Next(now.Add(-w.For))
	return opening.After(due)
}

// String describes the window for people.
func (w *Window) String() string {
	return fmt.Sprintf("cron %q for %s in %s", w.Spec, rota.FormatDuration(w.For), w.Zone)
}

// Blackout is a period in which nothing starts that can wait: no rotation by the
// policy and no retirement. In-flight work is finished.
type Blackout struct {
	From, Until time.Time
	Why         string
}

// String describes the blackout for people: when it is, and why.
func (b Blackout) String() string {
	name := "the blackout from " + stamp(b.From) + " until " + stamp(b.Until)
	if b.Why != "" {
		name += " (" + b.Why + ")"
	}
	return name
}

// Apart says that a secret must not be rotated within By of another one, for
// example because one of the two must always work.
type Apart struct {
	Secret string
	By     time.Duration
}

// Peer is the state of a secret that another one is kept apart from.
type Peer struct {
	Apart
	IssuedAt time.Time // when its credential was issued
	RotateAt time.Time // its next rotation by policy
	BegunAt  time.Time // when its current turn began; zero if there is none
}

// SameAs reports whether the peer's status is still the same as when it was read.
func (p Peer) SameAs(s Status) bool {
	return p.IssuedAt.Equal(s.IssuedAt) && p.RotateAt.Equal(s.RotateAt) && p.BegunAt.Equal(s.BegunAt)
}

func (p Peer) isBeingRotated() bool { return !p.BegunAt.IsZero() }

// goesFirst reports whether the peer is due as well as a secret, and is to be
// rotated first.
func (p Peer) goesFirst(secret string, now time.Time) bool {
	return !now.Before(p.RotateAt) && now.Before(p.RotateAt.Add(p.By)) && p.Secret < secret
}

// open returns the first time at or after t at which the window is open and there
// is no blackout.
func (p Policy) open(t time.Time) time.Time {
	for range 1000 {
		at := p.Window.Open(t)
		for _, b := range p.Blackouts {
			if !at.Before(b.From) {
				at = maxTime(at, b.Until)
			}
		}
		if at.Equal(t) {
			return t
		}
		t = at
	}
	return t.AddDate(100, 0, 0) // the blackouts cover the whole window
}

// closed describes, for people, what work is waiting for: the window to open or
// blackouts to end.
func (p Policy) closed(now, open time.Time) string {
	if p.Window.Open(now).Equal(open) {
		return "the window opens"
	}
	return p.blackouts(now, open) + " is over"
}

// blackouts describes the blackouts between two times, in order. It returns "" if
// there are none.
func (p Policy) blackouts(from, until time.Time) string {
	on := slices.DeleteFunc(slices.Clone(p.Blackouts), func(b Blackout) bool { return !b.From.Before(until) || !from.Before(b.Until) })
	slices.SortStableFunc(on, func(a, b Blackout) int { return a.From.Compare(b.From) })
	names := make([]string, len(on))
	for i, b := range on {
		names[i] = b.String()
	}
	return strings.Join(names, ", then ")
}

// ripe returns when a credential issued at since becomes too old, ignoring the
// window and the blackouts, or false for never.
func (p Policy) ripe(secret string, since, notBefore time.Time) (time.Time, bool) {
	var at time.Time
	switch share := spread(secret, p.Jitter); {
	case p.RotateAt != nil:
		next, ok := p.RotateAt.Next(since)
		if !ok {
			return time.Time{}, false
		}
		at = next.Add(share)
	case p.RotateEvery > 0:
		at = since.Add(p.RotateEvery - share)
	default:
		return time.Time{}, false
	}
	return maxTime(at, notBefore), true
}

// due returns when to rotate a credential issued at since, or false for never.
func (p Policy) due(secret string, since, notBefore time.Time) (time.Time, bool) {
	at, ever := p.ripe(secret, since, notBefore)
	if !ever {
		return time.Time{}, false
	}
	opening := p.open(at)
	if p.Window != nil && opening.After(at) {
		// Don't rotate the whole fleet the moment the window opens.
		opening = p.open(opening.Add(spread(secret, min(p.Jitter, p.Window.For/2))))
	}
	return opening, true
}

// spread returns a secret's own part of a duration, always the same one for the
// same secret.
func spread(secret string, of time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(secret)) // never fails
	return time.Duration(float64(of) * (float64(h.Sum64()>>11) / (1 << 53)))
}

// when describes, for people, when the policy rotates.
func (p Policy) when() string {
	if p.RotateAt != nil {
		return fmt.Sprintf("rotate by the schedule %q in %s", p.RotateAt.Spec, p.RotateAt.Zone)
	}
	return "rotate when it is " + rota.FormatDuration(p.RotateEvery) + " old"
}
