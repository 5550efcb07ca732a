package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// jitter is the value in the file, or a ninetieth of rotate_every, one day at
// most. It keeps a fleet with one policy from rotating all at once.
func (p Policy) jitter() time.Duration {
	if p.Jitter.IsSet() {
		return p.Jitter.Length
	}
	return min(p.RotateEvery.Length/90, rota.Day)
}

// schedules parses the schedule, and reports each problem at its position.
func (v *validator) schedules(s *Secret, merged Policy, p *rotation.Policy) bool {
	good := true
	where := func(own bool) Path {
		if own {
			return s.path().Key("policy")
		}
		return Path{"defaults", "policy"}
	}
	own := s.Policy
	if own == nil {
		own = &Policy{}
	}
	if w := merged.Window; w != nil {
		var err error
		if p.Window, err = rotation.ParseWindow(w.Cron.Text, w.For.Length, w.Timezone.Text); err != nil {
			v.fail(place(err, w.At, w.Cron.At, w.Timezone.At, w.For.At), where(own.Window == w).Key("window"), err)
			good = false
		}
	}
	if c := merged.RotateAt; c != nil {
		var err error
		if p.RotateAt, err = rotation.ParseCron(c.Cron.Text, c.Timezone.Text); err != nil {
			v.fail(place(err, c.At, c.Cron.At, c.Timezone.At, c.At), where(own.RotateAt == c).Key("rotate_at"), err)
			good = false
		}
	}
	for _, b := range merged.Blackouts {
		if b == nil {
			continue
		}
		blackout, at, err := b.span()
		if err != nil {
			v.fail(at, where(own.Blackouts != nil).Key("blackouts"), err)
			good = false
		}
		p.Blackouts = append(p.Blackouts, blackout)
	}
	for _, a := range merged.ApartFrom {
		if a == nil || a.Secret.Text == "" {
			continue
		}
		path := where(own.ApartFrom != nil).Key("apart_from")
		if names := v.names(); !contains(names, a.Secret.Text) {
			v.suggest(a.Secret.At, path, suggest(a.Secret.Text, names), "no secret %q", a.Secret.Text)
			good = false
		} else if a.Secret.Text == s.Name.Text && own.ApartFrom != nil {
			v.add(a.Secret.At, path, "another secret", "a secret can't be kept apart from itself")
			good = false
		}
		if a.Secret.Text != s.Name.Text { // the defaults name every secret in a group
			p.ApartFrom = append(p.ApartFrom, rotation.Apart{Secret: a.Secret.Text, By: a.By.Length})
		}
	}
	return good
}

// keepApart makes both secrets of a pair keep apart if either names the other.
func keepApart(policies map[string]rotation.Policy) {
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		for _, a := range policies[name].ApartFrom {
			other, ok := policies[a.Secret]
			if !ok || slices.ContainsFunc(other.ApartFrom, func(back rotation.Apart) bool { return back.Secret == name }) {
				continue
			}
			other.ApartFrom = append(slices.Clone(other.ApartFrom), rotation.Apart{Secret: name, By: a.By})
			policies[a.Secret] = other
		}
	}
}

func (v *validator) names() []string {
	var names []string
	for _, s := range v.doc.Secrets {
		names = append(names, s.Name.Text)
	}
	return names
}

// place returns the position of the schedule key that an error is about.
func place(err error, whole, cron, zone, length Pos) Pos {
	wrong, ok := errors.AsType[*rotation.PolicyError](err)
	if !ok {
		return whole
	}
	switch wrong.Key {
	case "timezone":
		return zone
	case "cron":
		return cron
	case "for":
		return length
	}
	return whole
}

// span parses a blackout, or returns the position of the problem.
func (b *Blackout) span() (rotation.Blackout, Pos, error) {
	zone, err := time.LoadLocation(b.Timezone.Text)
	if err != nil || b.Timezone.Text == "Local" {
		return rotation.Blackout{}, b.Timezone.At, rota.WithRemedies(fmt.Errorf("time zone %q: not known", b.Timezone.Text), rota.Configure("", "Europe/Berlin, UTC"))
	}
	from, _, err := moment(b.From.Text, zone)
	if err != nil {
		return rotation.Blackout{}, b.From.At, err
	}
	until, day, err := moment(b.Until.Text, zone)
	if err != nil {
		return rotation.Blackout{}, b.Until.At, err
	}
	if day {
		until = until.AddDate(0, 0, 1) // through the end of the last day
	}
	if !until.After(from) {
		return rotation.Blackout{}, b.Until.At, fmt.Errorf("until %s is not after from %s", b.Until.Text, b.From.Text)
	}
	return rotation.Blackout{From: from.UTC(), Until: until.UTC(), Why: b.Why.Text}, Pos{}, nil
}

// moment parses a day, or a time on a day.
func moment(text string, zone *time.Location) (at time.Time, day bool, err error) {
	if at, err = time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return at, true, nil
	}
	if at, err = time.ParseInLocation("2006-01-02T15:04", text, zone); err == nil {
		return at, false, nil
	}
	return time.Time{}, false, rota.WithRemedies(fmt.Errorf("%q is neither a day nor a moment", text), rota.Configure("", "2026-12-20, 2026-12-20T18:00"))
}
