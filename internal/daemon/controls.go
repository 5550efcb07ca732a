package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
)

// controls are the switches that override all policies.
type controls struct{ d *Daemon }

var _ service.Controls = controls{}

func (c controls) Pause(ctx context.Context, secrets []string, by access.Caller, why string) error {
	return c.d.DB.Queue().Pause(ctx, secrets, by, why)
}

func (c controls) Resume(ctx context.Context, secrets []string, by access.Caller) error {
	defer c.d.schedule.Poke()
	return c.d.DB.Queue().Resume(ctx, secrets, by, "")
}

func (c controls) Done(ctx context.Context, secret string, by access.Caller, _ string) error {
	_, err := c.d.worker.Do(ctx, secret, service.RotatorFor(c.d.rotator, by).Done)
	return err
}

func (c controls) Freeze(ctx context.Context, by access.Caller, why string) error {
	return c.d.DB.Queue().Freeze(ctx, by, why)
}

func (c controls) Thaw(ctx context.Context, by access.Caller) error {
	defer c.d.schedule.Poke()
	return c.d.DB.Queue().Thaw(ctx, by, "")
}

func (c controls) Reload(ctx context.Context, by access.Caller, why string) error {
	went := c.d.reload(ctx)
	if err := c.d.recordReload(ctx, by, why, went); err != nil {
		return errors.Join(went, fmt.Errorf("the reload could not be written to the audit: %w", err))
	}
	if went != nil {
		return &service.UsageError{Err: went}
	}
	return nil
}
