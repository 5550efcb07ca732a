package engine

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rota-dev/rota"
)

// WhileBusy calls try until another worker's lease no longer stands in its way,
// which [rota.ErrBusy] means, but for no longer than the given time: then the
// error is that of the last attempt. Between attempts it holds nothing. If ctx is
// canceled, its error is returned.
func WhileBusy(ctx context.Context, atMost time.Duration, try func(context.Context) error) error {
	end := time.Now().Add(atMost)
	again := &backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: time.Second}
	for {
		err := try(ctx)
		wait := again.NextBackOff()
		if !errors.Is(err, rota.ErrBusy) || time.Now().Add(wait).After(end) {
			return err
		}
		switch sleepErr := rota.Sleep(ctx, wait); {
		case errors.Is(sleepErr, context.Canceled):
			return sleepErr
		case sleepErr != nil:
			return err
		}
	}
}
