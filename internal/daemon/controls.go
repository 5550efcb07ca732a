package daemon

import (
	"context"

	"rota/internal/service"
)

// controls are the switches that stand above all policies.
type controls struct{ d *Daemon }

var _ service.Controls = controls{}

func (c controls) Pause(ctx context.Context, secrets []string, by, why string) error {
	return c.d.DB.Pause(ctx, secrets, by, why)
}

func (c controls) Resume(ctx context.Context, secrets []string, by string) error {
	defer c.d.schedule.Poke()
	return c.d.DB.Resume(ctx, secrets, by, "")
}

func (c controls) Done(ctx context.Context, secret, by, _ string) error {
	r := *c.d.rotator
	r.Actor = by
	_, err := c.d.worker.Do(ctx, secret, r.Done)
	return err
}

func (c controls) Freeze(ctx context.Context, by, why string) error {
	return c.d.DB.Freeze(ctx, by, why)
}

func (c controls) Thaw(ctx context.Context, by string) error {
	defer c.d.schedule.Poke()
	return c.d.DB.Thaw(ctx, by, "")
}

func (c controls) Reload(ctx context.Context) error {
	if err := c.d.reload(ctx); err != nil {
		return &service.UsageError{Err: err}
	}
	return nil
}
