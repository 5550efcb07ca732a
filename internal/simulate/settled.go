package simulate

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// startQuietChecks schedules the checks at the end of each quiet phase.
func (s *subject) startQuietChecks() {
	for _, p := range s.w.phases {
		s.turnAt(p.to.AddDate(0, 0, quietDays).Add(-time.Hour), "settled?", func(context.Context) { s.checkSettled(p.to) })
	}
}

// patience is how long people can take to notice a hold and fix its cause.
const patience = 4 * rota.Day

// checkSettled checks rule 7: some time after the last fault every rotation has
// ended, and any remaining hold has a cause that people planted.
func (s *subject) checkSettled(since time.Time) {
	t := &s.truth
	if s.w.broken != nil {
		return
	}
	if t.pending != "" && s.now.Sub(t.createdAt[t.pending]) > patience {
		s.violate(7, "version %s is still AWSPENDING, %d days after the last fault", t.pending, quietDays)
	}
	if f := t.progress.Failure; f != nil && len(f.Remedies) > 0 && s.now.Sub(t.failingSince) <= patience {
		return // a permission that was taken away long ago was first needed now
	}
	if f := t.progress.Failure; f != nil && f.Attempts > 3 && !s.operator.actedAt.After(t.savedAt) {
		s.violate(7, "%s still fails, %d days after the last fault: %s", f.Step, quietDays, f.Error)
	}
	status := t.progress.Status
	waits := status.Hold == rotation.HoldNone || status.Hold == rotation.HoldInUse ||
		// People wait for nobody to use a credential.
		s.operator.retries && s.operator.waiting != "" ||
		// The previous credential's grace period isn't over, so people can do
		// nothing.
		(s.versionOf(rota.LabelPrevious) != "" && (status.Hold == rotation.HoldNoFreeSlot || status.Hold == rotation.HoldRolledBack))
	if !waits && s.now.Sub(t.holdSince) > patience {
		s.violate(7, "still held since %s: %s", stamp(t.holdSince), status.Reason)
	}
	if a := t.progress.Requested; a != nil && !waits && s.now.Sub(a.At) > patience {
		s.violate(7, "what was asked for at %s is neither done nor refused", stamp(a.At))
	}
	if orphans := s.orphans(""); len(orphans) > 0 {
		s.violate(2, "%v are still orphans, %d days after the last fault", orphans, quietDays)
	}
	if due, ok := s.dueAt(); ok && status.Hold == rotation.HoldNone &&
		s.now.After(due.Add(patience)) && s.now.After(t.holdSince.Add(patience)) {
		s.violate(7, "the current credential was due at %s and was not rotated: %s", stamp(due), status.Reason)
	}
	s.checkServed(since)
}

// checkServed checks rule 7 for consumers: all of them have the current value,
// or can get it, and can log in with it.
func (s *subject) checkServed(since time.Time) {
	t := &s.truth
	if t.current == "" {
		s.violate(7, "there is still no current version")
		return
	}
	for i, version := range t.delivered {
		if !t.isCurrent(version) {
			s.violate(7, "target %d still has version %q and not %s", i, version, t.current)
		}
	}
	for i, version := range t.reloaded {
		if !t.isCurrent(version) {
			s.violate(7, "the consumers of reloader %d still run on version %q and not %s", i, version, t.current)
		}
	}
	for _, c := range s.consumers {
		if c.takenAt.Before(since) && (c.version != t.current || c.reloader < 0) {
			continue // it hasn't read again since, so rule 1 covers it
		}
		if !s.issuer.Login(c.credential) && (c.reloader >= 0 && !s.ended(s.issuer.CredentialID(c.credential)) || !s.excused(c)) {
			s.violate(1, "%s still cannot log in, %d days after the last fault", c.name, quietDays)
		}
	}
}

// noteValue remembers a version's value.
func (s *subject) noteValue(version string) {
	s.quietly(func() {
		c, _ := s.store.Get(context.Background(), rota.GetRequest{Version: version})
		s.truth.values[version] = proof(c)
	})
}

// isCurrent reports whether the version is current, or holds the same value.
func (t *truth) isCurrent(version string) bool {
	return version == t.current || t.values[version] != "" && t.values[version] == t.values[t.current]
}

// alert checks the secret from outside the loop: rule 13.
func (s *subject) alert(ctx context.Context) {
	s.at(s.now.Add(12*time.Hour), "alert", s.alert)
	s.checkDrift()
	late := false
	s.quietly(func() {
		var err error
		r := rotation.Rotator{Journal: s.w.hooks.wrapAlert(s.journal), Now: s.rotaClock, Holder: "alert", NewID: s.newID}
		if late, err = r.Alert(ctx, s.secret); err != nil {
			s.note("alert failed", "", err.Error())
		}
	})
	due, ok := s.dueAt()
	if !ok || late || s.truth.foreign[s.truth.current] {
		return
	}
	for _, changed := range []time.Time{s.truth.currentSince, s.truth.lostAt} {
		if known := s.w.awake(changed); known.After(due) { // when Rota could first know
			due = known
		}
	}
	if after := due.Add(s.policy.WithDefaults().LateAfter + rota.Day); s.now.After(after) {
		s.violate(13, "it is due since %s and nobody was alerted", stamp(due))
	}
}

// driftKnown is how long it may take until drift is reported: the look that there is
// once a day, and a turn.
const driftKnown = rota.Day + time.Hour

// checkDrift checks rule 13 for a current credential that a person replaced at the
// issuer: the secret doesn't look fine for longer than a day.
func (s *subject) checkDrift() {
	t := &s.truth
	version, c, ok := s.store.Read(rota.LabelCurrent)
	if !ok || s.keys != nil || s.temp != nil || t.foreign[version] || t.broken[version] || t.pending != "" || s.logsIn(c) {
		t.driftSince = time.Time{}
		return
	}
	if t.driftSince.IsZero() {
		t.driftSince = s.now
	}
	fine := t.progress.Status.Hold == rotation.HoldNone && t.progress.Failure == nil
	for _, at := range []time.Time{t.disturbedAt, t.lostAt, t.currentSince, s.w.awake(t.driftSince)} {
		if at.After(t.driftSince) {
			t.driftSince = at
		}
	}
	if fine && s.now.Sub(t.driftSince) > driftKnown {
		s.violate(13, "the current credential hasn't been in force since %s, and nobody was told", stamp(t.driftSince))
	}
}
