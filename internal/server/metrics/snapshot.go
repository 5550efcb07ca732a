package metrics

import (
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// snapshot is the state of all secrets at one time.
type snapshot struct {
	at     time.Time
	took   time.Duration
	frozen *rotation.Halt // nil: not frozen
	outbox []store.OutboxBacklog
	audit  int64
	jobs   map[string]int

	states                       map[api.SecretState]int
	holds                        map[rotation.HoldKind]int
	heldSince                    map[rotation.HoldKind]time.Time // the longest held, by reason
	paused, late, due, leases    int
	unsent                       int
	lateSince, dueSince, issued  time.Time // the earliest of all; zero: none
	nextRotation                 time.Time // the earliest of all; zero: never
	ages, lateness, untilRotated distribution

	perSecret int
	secrets   []secretMetrics // nil if there are more than perSecret
	count     int
}

// secretMetrics is what's reported about one secret by name. Zero dates are unknown,
// or don't apply.
type secretMetrics struct {
	name                     string
	issued, rotate, lateFrom time.Time
	hold                     rotation.HoldKind
	heldFrom                 time.Time
}

func newSnapshot(at time.Time, perSecret int) *snapshot {
	p := &snapshot{
		at: at, states: map[api.SecretState]int{}, holds: map[rotation.HoldKind]int{}, heldSince: map[rotation.HoldKind]time.Time{},
		ages: newDistribution(ageBounds), lateness: newDistribution(lateBounds), untilRotated: newDistribution(untilBounds), perSecret: perSecret,
	}
	for _, s := range states {
		p.states[s] = 0
	}
	for _, h := range holds {
		p.holds[h] = 0
	}
	return p
}

// States and reasons without any secret are reported as 0.
var (
	states = []api.SecretState{
		api.StateOK, api.StateDue, api.StatePaused, api.StateHeld, api.StateLate, api.StateFailed, api.StateQuarantined,
	}
	holds = []rotation.HoldKind{
		rotation.HoldNotAdopted, rotation.HoldNeverIssued, rotation.HoldForeignChange, rotation.HoldInUse, rotation.HoldStillActive, rotation.HoldNoFreeSlot, rotation.HoldNotAtIssuer,
		rotation.HoldRolledBack, rotation.HoldRetrying, rotation.HoldQuarantined, rotation.HoldPaused, rotation.HoldFrozen, rotation.HoldManual, rotation.HoldOutdated, rotation.HoldRival, rotation.HoldNotReady, rotation.HoldDrifted, rotation.HoldUnverified,
	}
)

// add counts one more secret.
func (p *snapshot) add(s store.EnrolledSecret, policy rotation.Policy) {
	o := secretMetrics{name: s.Name, issued: s.Status.IssuedAt, rotate: s.Status.RotateAt}
	p.count++
	p.states[service.StateOf(s, p.frozen != nil, policy, p.at)]++
	if s.Paused != nil {
		p.paused++
	}
	if s.Unsent {
		p.unsent++
	}
	if s.Holder != "" {
		p.leases++
	} else if s.Paused == nil && p.frozen == nil && !s.NextAt.After(p.at) {
		p.due++
		p.dueSince = earlier(p.dueSince, s.NextAt)
	}
	// A secret that was never looked at has no due date.
	if since, late := rotation.Lateness(s.Status, policy, p.at); late && !since.IsZero() {
		o.lateFrom = since
		p.late++
		p.lateSince = earlier(p.lateSince, since)
		p.lateness.add(p.at.Sub(since))
	}
	if h := s.Status.Hold; h != rotation.HoldNone {
		o.hold, o.heldFrom = h, s.Status.DueAt
		p.holds[h]++
		p.heldSince[h] = earlier(p.heldSince[h], s.Status.DueAt)
	}
	if !o.issued.IsZero() {
		p.ages.add(p.at.Sub(o.issued))
		p.issued = earlier(p.issued, o.issued)
	}
	if !o.rotate.IsZero() {
		p.untilRotated.add(max(0, o.rotate.Sub(p.at)))
		p.nextRotation = earlier(p.nextRotation, o.rotate)
	}
	if p.count <= p.perSecret {
		p.secrets = append(p.secrets, o)
	} else {
		p.secrets = nil
	}
}

// earlier is the earlier of two dates; a zero date doesn't count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
