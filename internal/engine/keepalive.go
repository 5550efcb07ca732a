package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// KeepAliveOptions configure what renews credentials while their secrets get no turns.
type KeepAliveOptions struct {
	// Rotator renews. Required. It must not be the loop's, so that whatever blocks
	// that one doesn't block this one.
	Rotator *rotation.Rotator
	// Secrets are the currently configured secrets. Required.
	Secrets *Secrets
	// OpenCircuits are the names of the systems that get no turns for now. Required.
	OpenCircuits func() []string
	// Halted returns whether a person paused a secret or froze all, so that it gets no
	// turns. Defaults to none.
	Halted func(ctx context.Context) (func(secret string) bool, error)
	// Every is how often to check. Defaults to a minute.
	Every time.Duration
	// Limits bound concurrent renewals.
	Limits Limits
	// Log gets what failed. Defaults to nothing.
	Log *slog.Logger
}

func (o KeepAliveOptions) withDefaults() KeepAliveOptions {
	o.Every = cmp.Or(o.Every, time.Minute)
	if o.Halted == nil {
		o.Halted = func(context.Context) (func(string) bool, error) { return func(string) bool { return false }, nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// KeepAlive renews credentials in use whose secrets get no turns because a system's
// circuit is open, or because they're paused or frozen. Neither a store that doesn't
// answer nor a person who wants nothing new must be the end of leases that the issuer
// would extend. It calls issuers only.
type KeepAlive struct{ KeepAliveOptions }

// NewKeepAlive creates one. Run starts it.
func NewKeepAlive(o KeepAliveOptions) *KeepAlive { return &KeepAlive{o.withDefaults()} }

// Run works until ctx ends, and returns nil.
func (k *KeepAlive) Run(ctx context.Context) error {
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			k.Check(ctx)
		}
	}
}

// Check renews what's due now, once.
func (k *KeepAlive) Check(ctx context.Context) {
	open := k.OpenCircuits()
	halted, err := k.Halted(ctx)
	if err != nil {
		k.Log.ErrorContext(ctx, "keep alive", "error", err)
		halted = func(string) bool { return false }
	}
	var secrets []*rotation.Secret
	for listed := range k.Secrets.All() {
		if !halted(listed.Name) && !slices.ContainsFunc(listed.Systems, func(name string) bool { return slices.Contains(open, name) }) {
			continue
		}
		s, done := k.Secrets.Borrow(listed.Name)
		defer done()
		if s != nil && s.Issuer.Traits().Renewable {
			secrets = append(secrets, s)
		}
	}
	errs := Each(ctx, k.Limits, secrets, func(ctx context.Context, i int) error {
		_, err := k.Rotator.KeepAlive(ctx, secrets[i])
		if errors.Is(err, rota.ErrBusy) {
			return nil // its own turn is under way
		}
		return err
	})
	for i, err := range errs {
		if err != nil && ctx.Err() == nil {
			k.Log.ErrorContext(ctx, "keep alive", "secret", secrets[i].Name, "error", err)
		}
	}
}
