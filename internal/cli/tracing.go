package cli

import (
	"context"

	"github.com/rota-dev/rota/internal/server/tracing"
)

// traced runs f, a whole command, and sends its traces where the OTEL_
// variables say. Anything wrong with those is only a warning: no rotation
// waits for it. Without a name, there's no span for the command as a whole.
func (a *app) traced(ctx context.Context, name string, f func(context.Context) error) error {
	var err error
	if a.tracing, err = tracing.Start(ctx, Version, a.log); err != nil {
		a.log.WarnContext(ctx, "tracing is off", "error", err)
	}
	defer func() {
		if err := a.tracing.Stop(ctx); err != nil {
			a.log.WarnContext(ctx, "traces", "error", err)
		}
	}()
	if name == "" {
		return f(ctx)
	}
	within, end := a.tracing.Command(ctx, name)
	err = f(within)
	if codeOf(err) == exitHeld {
		end(nil) // as in a turn, it isn't an error
	} else {
		end(err)
	}
	return err
}
