package config

import (
	"errors"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// merge overlays a policy on the defaults, key by key.
func (p Policy) merge(over *Policy) Policy {
	if over == nil {
		return p
	}
	for _, pair := range []struct{ to, from *Duration }{
		{&p.RotateEvery, &over.RotateEvery},
		{&p.DeactivatePreviousAfter, &over.DeactivatePreviousAfter},
		{&p.DeletePreviousAfter, &over.DeletePreviousAfter},
		{&p.UnusedFor, &over.UnusedFor},
		{&p.TestWithin, &over.TestWithin},
		{&p.LateAfter, &over.LateAfter},
		{&p.Jitter, &over.Jitter},
		{&p.WarnBefore, &over.WarnBefore},
	} {
		if pair.from.IsSet() {
			*pair.to = *pair.from
		}
	}
	if over.RetirePrevious.IsSet() {
		p.RetirePrevious = over.RetirePrevious
	}
	if over.DriftCheck.IsSet() {
		p.DriftCheck = over.DriftCheck
	}
	if over.MaxAttempts.IsSet() {
		p.MaxAttempts = over.MaxAttempts
	}
	if over.RetireWhen != nil {
		p.RetireWhen = over.RetireWhen
	}
	if over.Window != nil {
		p.Window = over.Window
	}
	if over.Blackouts != nil {
		p.Blackouts = over.Blackouts
	}
	if over.ApartFrom != nil {
		p.ApartFrom = over.ApartFrom
	}
	// These two keys set the same thing, so the secret's own setting wins.
	switch {
	case over.RotateAt != nil && !over.RotateEvery.IsSet():
		p.RotateAt, p.RotateEvery = over.RotateAt, Duration{}
	case over.RotateAt != nil:
		p.RotateAt = over.RotateAt
	case over.RotateEvery.IsSet():
		p.RotateAt = nil
	}
	return p
}

// policy merges, validates and stores the policy of a secret.
func (v *validator) policy(s *Secret, traits rota.Traits) {
	path := s.path().Key("policy")
	if v.isBad(Path{"defaults", "policy"}) || v.isBad(path) {
		return
	}
	merged := v.doc.Defaults.Policy.forTraits(traits).merge(s.Policy)
	p := rotation.Policy{
		RotateEvery: merged.RotateEvery.Length,
		Retire:      rotation.RetireStyle(merged.RetirePrevious.Text),
		UnusedFor:   merged.UnusedFor.Length,
		MaxAttempts: merged.MaxAttempts.Number,
		TestWithin:  merged.TestWithin.Length,
		LateAfter:   merged.LateAfter.Length,
		DriftCheck:  rotation.DriftCheck(merged.DriftCheck.Text),
		Jitter:      merged.jitter(),
		WarnBefore:  merged.WarnBefore.Length,
	}
	// A default is for the secrets with a previous credential to retire.
	if w := merged.RetireWhen; w != nil && (traits.Overlap() || s.Policy != nil && s.Policy.RetireWhen != nil) {
		p.RetireWhen = &rotation.RetireWhen{Within: rotation.DefaultWithin}
		if w.Within.IsSet() {
			p.RetireWhen.Within = w.Within.Length
		}
	}
	if !v.schedules(s, merged, &p) {
		return
	}
	if traits.Lifetime == 0 {
		p.DeactivatePreviousAfter, p.DeletePreviousAfter = merged.graces()
	} else {
		p.DeactivatePreviousAfter, p.DeletePreviousAfter = merged.DeactivatePreviousAfter.Length, merged.DeletePreviousAfter.Length
	}
	for _, err := range unjoin(p.Validate(traits)) {
		v.fail(merged.position(err, s), path, err)
	}
	if traits.Lifetime > 0 {
		p = p.ForLifetime(traits.Lifetime)
		if !merged.Jitter.IsSet() {
			p.Jitter = p.RotateEvery / 12
		}
	}
	v.pace(s, p, merged.RotateEvery.At)
	v.policies[s.Name.Text] = p
}

// pace rejects a policy that makes more versions than the secret's store can
// take.
func (v *validator) pace(s *Secret, p rotation.Policy, at Pos) {
	if s.Store == nil || p.RotateEvery == 0 {
		return
	}
	store, ok := s.Store.Kind.config.(provider.Pacer)
	if !ok {
		return
	}
	least, why := store.LeastEvery()
	if p.RotateEvery >= least {
		return
	}
	if !at.IsSet() {
		at = s.Store.At
	}
	v.add(at, s.path().Key("policy"), "a longer duration or rotate_every, or no store, for Rota's own",
		"a new one every %s is more than %s", rota.FormatDuration(p.RotateEvery), why)
}

// forTraits drops the defaults meant for credentials that live for months if
// the issuer's credentials expire on their own within hours.
func (p Policy) forTraits(t rota.Traits) Policy {
	if t.Lifetime == 0 {
		return p
	}
	return Policy{At: p.At, MaxAttempts: p.MaxAttempts} // retire_when as well: nothing of theirs is retired
}

// graces returns the file's grace periods. By default, deactivation comes a
// ninth of rotate_every after the rotation, ten days at most, and deletion the
// same time after that: 90, 100 and 110 days. A rotation can only be undone
// during the grace periods, so zero would be a bad default.
func (p Policy) graces() (deactivate, remove time.Duration) {
	deactivate, remove = p.DeactivatePreviousAfter.Length, p.DeletePreviousAfter.Length
	switch off, gone := p.DeactivatePreviousAfter.IsSet(), p.DeletePreviousAfter.IsSet(); {
	case off && !gone:
		remove = 2 * deactivate
	case gone && !off:
		deactivate = remove / 2
	case !off && !gone:
		deactivate = 10 * rota.Day
		if every := p.RotateEvery.Length; every > 0 {
			deactivate = min(deactivate, every/9)
		}
		remove = 2 * deactivate
	}
	return deactivate, remove
}

// position returns the position of the key that an error is about, or else of
// the secret's policy, or of its name.
func (p Policy) position(err error, s *Secret) Pos {
	places := map[string]Pos{
		"rotate_every":              p.RotateEvery.At,
		"retire_previous":           p.RetirePrevious.At,
		"deactivate_previous_after": p.DeactivatePreviousAfter.At,
		"delete_previous_after":     p.DeletePreviousAfter.At,
		"unused_for":                p.UnusedFor.At,
		"test_within":               p.TestWithin.At,
		"late_after":                p.LateAfter.At,
		"jitter":                    p.Jitter.At,
		"warn_before":               p.WarnBefore.At,
	}
	if p.RetireWhen != nil {
		places["retire_when"] = p.RetireWhen.At
	}
	if p.Window != nil {
		places["window"] = p.Window.At
	}
	if p.RotateAt != nil {
		places["rotate_at"] = p.RotateAt.At
	}
	wrong, ok := errors.AsType[*rotation.PolicyError](err)
	switch {
	case ok && places[wrong.Key].IsSet():
		return places[wrong.Key]
	case s.Policy != nil:
		return s.Policy.At
	}
	return s.Name.At
}

// unjoin returns the individual errors of [errors.Join].
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
