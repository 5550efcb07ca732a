package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// StoreControls are the controls of a command on Rota's own machine: they're
// written to the store, where the next worker finds them.
type StoreControls struct {
	DB *store.DB
	// Only Done needs Wired and Rotator.
	Wired   *config.Wired
	Rotator *rotation.Rotator
}

var _ Controls = StoreControls{}

// Pause implements [Controls].
func (s StoreControls) Pause(ctx context.Context, secrets []string, by access.Caller, why string) error {
	if err := s.ensureKnown(ctx, secrets, by); err != nil {
		return err
	}
	return s.DB.Queue().Pause(ctx, secrets, by, why)
}

// Resume implements [Controls].
func (s StoreControls) Resume(ctx context.Context, secrets []string, by access.Caller) error {
	if err := s.ensureKnown(ctx, secrets, by); err != nil {
		return err
	}
	return s.DB.Queue().Resume(ctx, secrets, by, "")
}

// ensureKnown makes the store aware of configured secrets that haven't been
// worked on yet, by taking a lease on them.
func (s StoreControls) ensureKnown(ctx context.Context, secrets []string, by access.Caller) error {
	statuses, err := s.DB.Overview().Statuses(ctx)
	if err != nil {
		return err
	}
	for _, name := range secrets {
		if slices.ContainsFunc(statuses, func(st store.SecretStatus) bool { return st.Name == name }) {
			continue
		}
		lease, err := s.DB.Journal().Acquire(ctx, rotation.AcquireRequest{Secret: name, Holder: by.Principal, TTL: time.Minute})
		if err == nil {
			err = s.DB.Journal().Release(ctx, lease)
		}
		if err != nil && !errors.Is(err, rota.ErrBusy) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Done implements [Controls].
func (s StoreControls) Done(ctx context.Context, secret string, by access.Caller, _ string) error {
	if err := s.Wired.Broken[secret]; err != nil {
		return &UsageError{Err: err}
	}
	_, err := RotatorFor(s.Rotator, by).Done(ctx, s.Wired.ByName[secret])
	return err
}

// Freeze implements [Controls].
func (s StoreControls) Freeze(ctx context.Context, by access.Caller, why string) error {
	return s.DB.Queue().Freeze(ctx, by, why)
}

// Thaw implements [Controls].
func (s StoreControls) Thaw(ctx context.Context, by access.Caller) error {
	return s.DB.Queue().Thaw(ctx, by, "")
}

// Reload implements [Controls]: nothing on this machine caches the
// configuration.
func (s StoreControls) Reload(context.Context, access.Caller, string) error {
	return &UsageError{Err: rota.WithRemedies(errors.New("every command reads the configuration itself: there is nothing to reload"), rota.Command("--server URL"))}
}
