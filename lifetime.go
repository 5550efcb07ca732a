package rota

import "time"

// margin is how long before its end a credential that ends by itself is
// renewed: a third of its lifetime, and five minutes at least, so that clocks
// may differ, tries may fail, and consumers have time to take it up.
func margin(lifetime time.Duration) time.Duration {
	return min(max(lifetime/3, 5*time.Minute), lifetime/2)
}

// Within is the policy for credentials that end by themselves after a lifetime,
// 0 for never: they are renewed a margin before, and no window, date or
// neighbour can hold that up, for nothing works after the end.
func (p Policy) Within(lifetime time.Duration) Policy {
	if lifetime == 0 {
		return p
	}
	before := margin(lifetime)
	if every := lifetime - before; p.RotateEvery == 0 || p.RotateEvery > every {
		p.RotateEvery = every
	}
	p.RotateAt, p.Window, p.Blackouts, p.ApartFrom = nil, nil, nil, nil
	p.Jitter = min(p.RotateEvery/6, before/2)
	if p.LateAfter == 0 || p.LateAfter > before/2 {
		p.LateAfter = before / 2
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 100 // they are close to one another
	}
	return p
}

// skew is how far clocks may differ.
const skew = 2 * time.Minute

// forget takes the labels off a previous version whose credential ends by
// itself: until then it serves whoever still holds it, and then there is nothing
// left to retire.
func (v *view) forget() (Decision, bool) {
	end := v.previous.CreatedAt.Add(v.Traits.Lifetime + skew)
	if v.now.Before(end) {
		v.wait(Delete, end, "forget the previous credential "+v.previous.CredentialID+" once it has ended")
		return Decision{}, false
	}
	if !v.previous.Ours() {
		return v.foreignPrevious(Delete, end)
	}
	return v.do(Delete, v.previous, end, "it has ended by itself")
}

// routine tells that an event is of every day where credentials live for hours:
// the audit has it, and nobody is told.
func routine(k EventKind, t Traits) bool {
	return t.Lifetime > 0 && t.Lifetime <= 2*Day && (k == Rotated || k == IsDeleted || k == Discarded)
}
