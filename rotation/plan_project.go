package rotation

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// Planned is one future decision of a projection.
type Planned struct {
	At       time.Time `json:"at"`
	Decision Decision  `json:"decision"`
}

// maxPlanned bounds what a projection says, and maxTurns how often it plans for
// that.
const (
	maxPlanned = 10_000
	maxTurns   = 4 * maxPlanned
)

// Project returns what will be done until a given time, assuming that every step
// succeeds, previous credentials go out of use in time, other secrets are rotated
// when they're due and nothing else changes. It includes each hold when the hold
// begins. It assumes that a hold that ends with time has ended, and stops at one
// that only a person can end. What a rotation's driver asks for isn't part of it.
// Like [Plan], it's pure. It plans lazily, only as far as the caller iterates.
func Project(st State, p Policy, from, until time.Time) iter.Seq[Planned] {
	return func(yield func(Planned) bool) { project(st, p, from, until, yield) }
}

// project returns how many times it planned.
func project(st State, p Policy, from, until time.Time, yield func(Planned) bool) (turns int) {
	st.Proven, st.Told, st.HoldersKnown = true, true, true // as far as it has been asked
	st.AsksInstances = st.InstancesKnown
	st.Driver = nil
	if st.Force == rota.StepNone {
		st.Requested = rota.StepNone // it's done
	}
	now, n, made := from, 0, 0
	tell := func(d Decision) bool {
		n++
		return yield(Planned{At: now, Decision: d}) && n < maxPlanned
	}
	for turns < maxTurns {
		turns++
		v := newView(st, p, now)
		v.keptAlive = true
		d := st.chain().plan(v)
		if d.Step == rota.StepCreate {
			made++
			d.Credential = nextCredential(st, made)
		}
		if d.Step != rota.StepNone {
			if !tell(d) {
				return turns
			}
			st = assume(st, d, now)
			continue
		}
		next := v.changesAt(d)
		if d.Hold != HoldNone {
			if !tell(d) || !st.endsWithTime(d.Hold) {
				return turns
			}
			next, st = maxTime(d.At, now), lift(st)
		} else if !next.After(now) {
			return turns // time changes nothing
		}
		if next.After(until) {
			return turns
		}
		st, now = meanwhile(st, now), next
	}
	return turns
}

// changesAt returns when the decision may be another one, if nothing changes but
// the time. It passes over looks at what might have changed: at whether somebody
// uses the previous credential, for example.
func (v *view) changesAt(d Decision) time.Time {
	var first time.Time
	for _, wait := range append(slices.Clone(v.waits), d) {
		at := wait.At
		if wait.Due.After(v.now) {
			at = wait.Due
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// endsWithTime reports whether a hold needs no person to end.
func (st State) endsWithTime(hold HoldKind) bool {
	return hold == HoldInUse || hold == HoldRetrying || hold == HoldUnverified && !st.Unverified.Stops
}

// lift returns the state after a hold that ended with time: no credential is used
// from now on, what failed works, and the issuer answers.
func lift(st State) State {
	st.Issued = slices.Clone(st.Issued)
	for i := range st.Issued {
		st.Issued[i].Use = rota.Use{Evidence: rota.EvidenceRecorded}
	}
	st.Progress.Failure, st.Holdings, st.Unverified, st.AsksInstances = nil, nil, nil, false
	return st
}

// meanwhile returns the state after some time has passed: whatever is under way
// now is over.
func meanwhile(st State, now time.Time) State {
	st.IdleLooks++
	st.AsksInstances = false // they've switched over
	if u := st.Unverified; u != nil && !u.Stops {
		st.Unverified = nil
	}
	st.Peers = slices.Clone(st.Peers)
	for i, peer := range st.Peers {
		if peer.isBeingRotated() || peer.goesFirst(st.Secret, now) {
			st.Peers[i].BegunAt, st.Peers[i].IssuedAt, st.Peers[i].RotateAt = time.Time{}, now, time.Time{}
		}
	}
	return st
}

// unused marks the credentials as unused whose use the issuer can report. Those
// go out of use in time.
func unused(st State) State {
	st.Issued = slices.Clone(st.Issued)
	for i := range st.Issued {
		if st.Issued[i].Use.Evidence != rota.EvidenceUnknown {
			st.Issued[i].Use = rota.Use{Evidence: rota.EvidenceRecorded}
		}
	}
	return st
}

// assume returns the state after a step, assuming that it succeeded.
func assume(st State, d Decision, now time.Time) State {
	if st.Progress.Failure = nil; d.Step == st.Force || d.Step == FinalStep(st.Force) { // what makes room for it isn't it
		st.Force, st.Requested = rota.StepNone, rota.StepNone
	}
	st.Issued = slices.Clone(st.Issued)
	st.Contents.Versions = slices.Clone(st.Contents.Versions)
	progress := st.Progress.Versions
	st.Progress.Versions = map[string]VersionProgress{}
	for i, v := range st.Contents.Versions {
		st.Contents.Versions[i].Labels = slices.Clone(v.Labels)
		st.Progress.Versions[v.ID] = progress[v.ID]
	}
	note := func(id string, f func(*VersionProgress)) {
		vp := st.Progress.Versions[id]
		f(&vp)
		st.Progress.Versions[id] = vp
	}
	switch d.Step {
	case rota.StepCreate:
		id := nextPrefix + stamp(now)
		st.Contents.Versions = append(st.Contents.Versions, rota.Version{ID: id, Labels: []rota.Label{rota.LabelPending}, CreatedAt: now, CredentialID: d.Credential})
		end := nextEnd(st, now)
		if st.Traits.Replaces {
			st.Issued = nil
		}
		issue(&st, d.Credential, now, end)
	case rota.StepSet:
		st.Progress.Rollback = nil // one that didn't work is over once the current one is back
		note(d.Version, func(vp *VersionProgress) { vp.SetBegunAt, vp.SetAt = now, now })
		pending, _ := rota.Find(st.Contents.Versions, rota.LabelPending)
		note(pending.ID, func(vp *VersionProgress) { vp.RestoredAt = now })
	case rota.StepTest:
		note(d.Version, func(vp *VersionProgress) { vp.TestedAt = now })
	case rota.StepPromote, rota.StepRollback:
		old, _ := rota.Find(st.Contents.Versions, rota.LabelCurrent)
		if old.ID != d.Version {
			relabel(st.Contents.Versions, rota.LabelPrevious, old.ID)
			relabel(st.Contents.Versions, rota.LabelCurrent, d.Version)
			note(d.Version, func(vp *VersionProgress) { vp.PromotedAt = now })
			st = lift(st)
		}
		st.Drifted, st.Unverified = false, nil
		relabel(st.Contents.Versions, rota.LabelPending, "")
		st.Progress.Rollback, st.Progress.RolledBackAt = nil, time.Time{}
	case rota.StepDeliver:
		note(d.Version, func(vp *VersionProgress) { vp.Delivered = allAt(st.Targets, now) })
	case rota.StepReload:
		note(d.Version, func(vp *VersionProgress) { vp.Reloaded = allAt(st.Reloaders, now) })
	case rota.StepDeactivate:
		for i := range st.Issued {
			if st.Issued[i].ID == d.Credential {
				st.Issued[i].Active = false
			}
		}
		note(d.Version, func(vp *VersionProgress) { vp.DeactivatedAt = now })
	case rota.StepDelete:
		st.Issued = slices.DeleteFunc(st.Issued, func(c rota.Issued) bool { return c.ID == d.Credential })
		st.Contents.Versions = slices.DeleteFunc(st.Contents.Versions, func(v rota.Version) bool { return v.ID == d.Version })
	}
	if d.Step == lastServing(len(st.Targets), len(st.Reloaders)) {
		relabel(st.Contents.Versions, rota.LabelServed, d.Version)
		note(d.Version, func(vp *VersionProgress) { vp.ServedAt = now })
	}
	forget(&st)
	return st
}

// nextPrefix is the prefix of the ids of projected versions.
const nextPrefix = rota.VersionPrefix + "next-"

// forget drops projected versions that no label points to any more. Otherwise
// projecting years ahead would be slow.
func forget(st *State) {
	st.Contents.Versions = slices.DeleteFunc(st.Contents.Versions, func(v rota.Version) bool {
		return len(v.Labels) == 0 && strings.HasPrefix(v.ID, nextPrefix)
	})
}

// issue adds the credential to the issuer's list, unless it's already there, as a
// role whose password changes is.
func issue(st *State, credential string, now, end time.Time) {
	for i := range st.Issued {
		if c := &st.Issued[i]; c.ID == credential {
			if !c.EndsWithAccount {
				c.ExpiresAt = end
			}
			return
		}
	}
	st.Issued = append(st.Issued, rota.Issued{ID: credential, Active: true, CreatedAt: now, ExpiresAt: end, Use: rota.Use{Evidence: rota.EvidenceRecorded}})
}

// nextEnd returns when a credential made now ends by itself: it lasts as long as the
// current one if Rota made that one, or as long as the issuer is asked for.
func nextEnd(st State, now time.Time) time.Time {
	v := newView(st, Policy{}, now)
	end, ends := v.endsAt(v.current)
	switch {
	case ends && v.current.Ours() && !v.current.Has(rota.LabelAdopted):
		return now.Add(end.Sub(v.issuedAt()))
	case st.Traits.EndsAfter > 0:
		return now.Add(st.Traits.EndsAfter)
	}
	return time.Time{}
}

// nextCredential returns the next credential's name: that of a role, or a number
// for a key that doesn't exist yet.
func nextCredential(st State, n int) string {
	current, hasCurrent := rota.Find(st.Contents.Versions, rota.LabelCurrent)
	for _, name := range st.Names {
		if name != current.CredentialID {
			return name
		}
	}
	if !st.Traits.Overlap() && !st.Traits.Replaces && hasCurrent {
		return current.CredentialID
	}
	return fmt.Sprintf("(new %d)", n)
}

// relabel moves a label to a version, or removes it if to is "".
func relabel(versions []rota.Version, l rota.Label, to string) {
	for i := range versions {
		v := &versions[i]
		v.Labels = slices.DeleteFunc(v.Labels, func(have rota.Label) bool { return have == l })
		if v.ID == to {
			v.Labels = append(v.Labels, l)
		}
	}
}
