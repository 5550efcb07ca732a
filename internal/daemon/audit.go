package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/store"
)

// watchAudit verifies the audit's whole chain, at the start and periodically:
// whoever changed it in the database must not go unnoticed until a person
// happens to look.
func (d *Daemon) watchAudit(ctx context.Context) error {
	tick := time.NewTicker(d.VerifyEvery)
	defer tick.Stop()
	for {
		d.verifyAudit(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *Daemon) verifyAudit(ctx context.Context) {
	result, err := d.DB.Audit().Verify(ctx)
	if ctx.Err() != nil {
		return
	}
	_, broken := errors.AsType[*store.TamperError](err)
	switch {
	case broken:
		d.Log.ErrorContext(ctx, "the audit was tampered with", "error", hint.Text(err))
	case err != nil:
		d.Log.WarnContext(ctx, "the audit could not be verified", "error", err)
		return // the store doesn't answer: says nothing about the chain
	default:
		d.Log.DebugContext(ctx, "the audit is whole", "entries", result.Entries)
	}
	d.metrics.AuditVerified(broken)
}
