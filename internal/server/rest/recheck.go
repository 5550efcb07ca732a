package rest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rota-dev/rota/internal/access"
)

type recheckKey struct{}

// errRulesChanged means that the caller is still known, with other rules.
var errRulesChanged = errors.New("the caller's rules have changed")

// openRequest rechecks the caller of a request that stays open.
type openRequest struct {
	recheck func() (access.Caller, error) // nil for never
	caller  access.Caller
	every   time.Duration
	next    time.Time
	tick    *time.Ticker
}

func (a *server) openRequest(ctx context.Context) *openRequest {
	recheck, _ := ctx.Value(recheckKey{}).(func() (access.Caller, error))
	return &openRequest{recheck, caller(ctx), a.RecheckEvery, time.Now().Add(a.RecheckEvery / 2), time.NewTicker(a.RecheckEvery)}
}

func (o *openRequest) stop() { o.tick.Stop() }

// check rechecks the caller if it's time for that. The error is errRulesChanged
// if only the rules are different; from then on, caller has them.
func (o *openRequest) check() error {
	if now := time.Now(); o.recheck == nil || now.Before(o.next) {
		return nil
	}
	c, err := o.recheck()
	o.next = time.Now().Add(o.every / 2) // so that no tick is too early
	if err != nil {
		return err
	}
	before := o.caller
	if o.caller = c; c.Principal != before.Principal || !slices.Equal(c.Rules, before.Rules) {
		return errRulesChanged
	}
	return nil
}

// limitOpen counts a request that may stay open while it does, and answers if
// there are too many.
func (a *server) limitOpen(ctx huma.Context, next func(huma.Context)) {
	if a.Hold != nil {
		release, err := a.Hold(caller(ctx.Context()))
		if err != nil {
			_, w := humago.Unwrap(ctx)
			writeProblem(w, a.problem(ctx.Context(), err))
			return
		}
		defer release()
	}
	next(ctx)
}
