package rotation

import (
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// forget drops what is remembered of versions that the store no longer has. An
// intent whose answer the store has stays until the issuer's list shows whether the
// request arrived twice: see [turn.forgetIntents]. A driver's steps don't wait for that:
// the last of them may be the last look for months.
func (l *ledger) forget(contents rota.Contents, driven bool) {
	now, p := l.Now(), &l.progress
	maps.DeleteFunc(p.Versions, func(id string, _ VersionProgress) bool {
		if _, kept := rota.FindID(contents.Versions, id); kept {
			return false
		}
		for _, i := range p.Intents {
			if i.Version == id {
				return false
			}
		}
		return true
	})
	_, lists := l.s.Issuer.(rota.Lister)
	p.Intents = answered(p.Intents, contents.Versions, lists && !driven)
	if rb := p.Rollback; rb != nil {
		v := &view{State: State{Traits: l.s.Issuer.Traits()}, now: now}
		to, kept := rota.FindID(contents.Versions, rb.To)
		switch {
		case !kept:
			l.abandonRollback("the version to go back to is gone")
		case v.ended(to):
			l.abandonRollback("the credential to go back to has expired, or is about to")
		case rb.Rejected != "" && !isCurrent(contents, rb.From):
			l.abandonRollback(rb.Rejected + "; another version is current by now")
		case isOthers(contents, rb):
			l.abandonRollback("somebody made another version current meanwhile")
		}
	}
}

// answered notes which intents' answers the store has. Nothing more is expected of
// these if nobody will look at the issuer's list, or if the answer names no credential.
func answered(intents []Intent, versions []rota.Version, looks bool) []Intent {
	var kept []Intent
	for _, i := range intents {
		if hasValue(versions, i.Version) {
			v, _ := rota.FindID(versions, i.Version)
			if !looks || v.CredentialID == "" || v.CredentialID == rota.NoCredential {
				continue
			}
			i.Answer = v.CredentialID
		}
		kept = append(kept, i)
	}
	return kept
}

// forgetIntents drops intents that are too old to leave traces that weren't there
// before. Until a turn has seen the issuer's list without any, an intent stays,
// however old: whoever runs once a day must still recognize an orphan. If the store
// has the answer, the first list that shows all is enough.
func (t *turn) forgetIntents() {
	if _, lists := t.s.Issuer.(rota.Lister); lists && !t.seen.listed {
		return
	}
	traces := map[string]bool{} // of the versions whose calls they're from
	v := t.view()
	for _, c := range t.seen.issued {
		if i, ours := v.orphanOf(c); ours {
			traces[i.Version] = true
		}
	}
	p := &t.ledger.progress
	p.Intents = slices.DeleteFunc(slices.Clone(p.Intents), func(i Intent) bool {
		if i.Answer != "" {
			c, there := v.issued(i.Answer)
			unmarked := there && c.Mark != i.Version // so a second one wouldn't be recognized
			return unmarked || !t.seen.listedAt.Before(v.settled(i)) && !traces[i.Version]
		}
		return t.Now().Sub(i.Until) >= rota.Day && !traces[i.Version]
	})
}

// isCurrent reports whether the version holds the current credential.
func isCurrent(contents rota.Contents, version string) bool {
	current, ok := findCredential(contents.Versions, rota.LabelCurrent)
	return ok && current.ID == version
}

// isOthers reports whether neither of a rollback's two versions is current anymore.
// Going on would end the credential that is.
func isOthers(contents rota.Contents, rb *RollbackIntent) bool {
	current, ok := findCredential(contents.Versions, rota.LabelCurrent)
	return ok && current.ID != rb.From && current.ID != rb.To
}

func (l *ledger) abandonRollback(why string) {
	p := &l.progress
	l.event(rota.EventFailed, p.Rollback.To, "", "the rollback was abandoned: "+why)
	p.Rollback = nil
}

// rebuild fills in, from the store's labels and dates, what isn't remembered:
// the data folder was lost, or another machine did the last rotation. The date
// is that of the secret's last change, which is never too early.
//
// It also finds labels moved by a process that died before it could write that
// down. What nobody was notified of yet becomes an event now.
func (l *ledger) rebuild(contents rota.Contents, requested rota.Step) {
	if v, ok := rota.Find(contents.Versions, rota.LabelCurrent); ok && l.version(v.ID).PromotedAt.IsZero() && !l.version(v.ID).TestedAt.IsZero() {
		previous, hasPrevious := rota.Find(contents.Versions, rota.LabelPrevious)
		l.promoted(v.ID, previous.ID, hasPrevious)
	}
	versions := l.progress.Versions
	if v, ok := rota.Find(contents.Versions, rota.LabelCurrent); ok && l.isPutBack(contents, v) {
		// What is remembered is of its earlier life; consumers may hold its
		// successor by now.
		at := maxTime(l.Now(), l.lastSeen(contents)) // the store's clock may be ahead of ours
		l.update(v.ID, func(vp *VersionProgress) {
			vp.PutBackAt, vp.PromotedAt, vp.ServedAt = at, at, time.Time{}
			vp.off(time.Time{})
			vp.Delivered, vp.Reloaded = nil, nil
			vp.QuietSince, vp.QuietSamples = time.Time{}, 0
		})
		versions = l.progress.Versions
	}
	if v, ok := rota.Find(contents.Versions, rota.LabelCurrent); ok && v.Has(rota.LabelServed) && versions[v.ID].ServedAt.IsZero() && versions[v.ID].PutBackAt.IsZero() {
		if versions[v.ID].inFlight() {
			l.rotated(v.ID, v.CredentialID, requested)
		}
		l.update(v.ID, func(vp *VersionProgress) {
			vp.PromotedAt, vp.ServedAt = contents.ChangedAt, contents.ChangedAt
			vp.Delivered = allAt(l.s.targetNames(), contents.ChangedAt)
			vp.Reloaded = allAt(l.s.reloaderNames(), contents.ChangedAt)
		})
	}
	_, canDeactivate := l.s.Issuer.(rota.Deactivator) // else the label is an older Rota's, and says nothing
	if v, ok := rota.Find(contents.Versions, rota.LabelDeactivated); ok && canDeactivate && versions[v.ID].DeactivatedAt.IsZero() && !v.Has(rota.LabelCurrent) {
		if versions[v.ID].inFlight() {
			l.event(rota.EventDeactivated, v.ID, v.CredentialID, "it was deactivated before an interruption, which kept that from being recorded")
		}
		l.update(v.ID, func(vp *VersionProgress) { vp.DeactivatedAt = contents.ChangedAt })
	}
}

// isPutBack reports whether somebody made a version current again behind Rota's
// back: it isn't marked as served any more, or the previous one came after it.
func (l *ledger) isPutBack(contents rota.Contents, current rota.Version) bool {
	vp := l.version(current.ID)
	if vp.ServedAt.IsZero() {
		return false
	}
	return !current.Has(rota.LabelServed) || l.lastSeen(contents).After(vp.PromotedAt)
}

// lastSeen is when the previous version is known to have been current, at the
// earliest; zero if that isn't known. Somebody else's is known by the store's
// clock alone, which may differ from ours.
func (l *ledger) lastSeen(contents rota.Contents) time.Time {
	previous, ok := rota.Find(contents.Versions, rota.LabelPrevious)
	if ok && !previous.Ours() {
		return previous.CreatedAt.Add(-2 * time.Minute)
	}
	return l.version(previous.ID).PromotedAt
}

func allAt(names []string, at time.Time) map[string]time.Time {
	if len(names) == 0 {
		return nil
	}
	m := make(map[string]time.Time, len(names))
	for _, n := range names {
		m[n] = at
	}
	return m
}
