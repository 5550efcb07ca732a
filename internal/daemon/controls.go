package daemon

import (
	"context"
	"fmt"

	"rota"
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

func (c controls) Frozen(ctx context.Context) (string, error) {
	h, err := c.d.DB.Frozen(ctx)
	if h == nil || err != nil {
		return "", err
	}
	return describe(*h), nil
}

func describe(h rota.Halt) string {
	text := fmt.Sprintf("by %s since %s", h.By, h.At.UTC().Format("2006-01-02 15:04 UTC"))
	if h.Why != "" {
		text += ": " + h.Why
	}
	return text
}

func (c controls) Reload(ctx context.Context) error {
	if err := c.d.reload(ctx); err != nil {
		return &service.UsageError{Err: err}
	}
	return nil
}
