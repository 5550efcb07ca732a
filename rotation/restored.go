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
	restoredAt, traits := t.ledger.constraints.restoredAt, t.s.Issuer.Traits()
	current, _ := t.seen.credential(rota.LabelCurrent)
	if !t.ledger.progress.ComparedAt.Before(restoredAt) || !current.Ours() || traits.Manual {
		return nil
	}
	if pending, ok := t.seen.find(rota.LabelPending); ok && !traits.Overlap() && t.ledger.version(pending.ID).touched(traits) {
		return nil // the pending one may be in force: its test will show
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

// sureRefusals is how many refusals in a row mean that a credential isn't in force.
func (t *turn) sureRefusals() int {
	if t.s.Issuer.Traits().ConsistencyDelay == 0 { // the issuer knows at once, and a wrong no only holds until the next look
		return 3
	}
	return 8
}
