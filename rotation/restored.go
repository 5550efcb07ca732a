package rotation

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// compareRestored finds out, once after the journal was restored, whether the
// store's current credential still logs in: what came out of the backup may have
// been replaced since.
func (t *turn) compareRestored(ctx context.Context) error {
	t.seen.outdatedSince = time.Time{}
	traits := t.s.Issuer.Traits()
	restoredAt := maxTime(t.ledger.constraints.restoredAt, t.ledger.progress.WentBackAt)
	current, _ := t.seen.credential(rota.LabelCurrent)
	if !t.ledger.progress.ComparedAt.Before(restoredAt) || !current.Ours() || traits.Manual {
		return nil
	}
	if pending, ok := t.seen.find(rota.LabelPending); ok && !traits.Overlap() && t.ledger.version(pending.ID).touched(traits) {
		return nil // the pending one may be in force: its test will show
	}
	if wentBack := t.ledger.progress.WentBackAt; traits.Readable && restoredAt.Equal(wentBack) {
		// The issuer may have gone back with the store, and show what isn't in force.
		if current.CreatedAt.Before(wentBack) {
			t.seen.outdatedSince = wentBack
			return nil
		}
		t.ledger.progress.ComparedAt = t.Now()
		return nil
	}
	if t.seen.refused != current.ID {
		accepted, err := t.outside.isAccepted(ctx, current.ID, t.sureRefusals())
		if err != nil {
			return fmt.Errorf("compare the restored store with the issuer: %w", err)
		}
		if accepted {
			t.ledger.progress.ComparedAt = t.Now()
			return nil
		}
		t.seen.refused = current.ID
	}
	t.seen.outdatedSince = restoredAt
	return nil
}

// staleFor is how old a store's answer is at most.
const staleFor = 5 * time.Minute

// noteWentBack notes that a store, other than the journal's own, was put back to an
// older state: it doesn't have the version that was current at the last look, and one
// of Rota's from before is current. The one it doesn't have may be what consumers hold.
func (l *ledger) noteWentBack(contents rota.Contents) {
	last := l.progress.Status.Version
	current, ok := findCredential(contents.Versions, rota.LabelCurrent)
	if _, there := rota.FindID(contents.Versions, last); !ok || !current.Ours() || last == "" || there || l.version(last).PromotedAt.IsZero() {
		return
	}
	since := l.version(last).PromotedAt
	followed := !current.CreatedAt.Before(since) || l.version(current.ID).PromotedAt.After(since)
	if followed || l.progress.RolledBackAt.After(since) || l.s.Issuer.Traits().Lifetime > 0 { // what expires is replaced soon anyway
		return
	}
	now := l.Now()
	if now.Sub(since) < staleFor {
		return // the answer may be from just before
	}
	l.progress.WentBackAt, l.progress.Status.Version = now, current.ID
	l.update(current.ID, func(vp *VersionProgress) {
		vp.PutBackAt, vp.PromotedAt, vp.ServedAt = now, now, time.Time{}
		vp.Delivered, vp.Reloaded = nil, nil
		vp.off(time.Time{})
	})
	l.event(rota.EventFailed, current.ID, current.CredentialID, "the store went back to an older state: it doesn't have version "+last+", which was current. Its current credential is compared with the issuer and delivered again")
}

// sureRefusals is how many refusals in a row mean that a credential isn't in force.
func (t *turn) sureRefusals() int {
	if t.s.Issuer.Traits().ConsistencyDelay == 0 { // the issuer knows at once, and a wrong no only holds until the next look
		return 3
	}
	return 8
}
