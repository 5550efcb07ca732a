package rotation

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
)

// compare finds out, once after the journal was restored, whether the store's
// current credential still logs in: what was restored may have been replaced
// since the backup.
func (w *turn) compare(ctx context.Context) error {
	traits := w.s.Issuer.Traits()
	current, ok := findCredential(w.state.Contents.Versions, rota.LabelCurrent)
	if !w.progress.ComparedAt.Before(w.restoredAt) || !ok || !current.Ours() || traits.Manual {
		return nil
	}
	if pending, ok := rota.Find(w.state.Contents.Versions, rota.LabelPending); ok && !traits.Overlap() && w.progress.Versions[pending.ID].touched(traits) {
		return nil // the pending one may be in force: its test tells
	}
	if w.outdated != current.ID {
		refusals := 8
		if traits.ConsistencyDelay == 0 { // the issuer knows at once; and a wrong no is only a hold until the next look
			refusals = 3
		}
		inForce, err := w.inForce(ctx, current.ID, refusals)
		if err != nil {
			return fmt.Errorf("compare the restored store with the issuer: %w", err)
		}
		if inForce {
			w.progress.ComparedAt = w.Now()
			return nil
		}
		w.outdated = current.ID
	}
	w.state.Outdated = w.restoredAt
	return nil
}
