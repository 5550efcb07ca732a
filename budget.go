package rota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how much a budget allows.
type Rate struct {
	PerSecond float64
	Burst     int // how many may be taken at once after a pause
}

// Budget limits the calls to whatever an outside system limits. Everything that
// uses the same key shares its budget: all secrets of a process, and all
// replicas if the budget is in a database.
type Budget interface {
	// Take waits until one call may be made. If ctx ends, or would end, before that,
	// it fails immediately with an error of class [ClassWait]. key names the account
	// and the operation, such as "aws 111122223333 iam"; all callers give a key the
	// same rate.
	Take(ctx context.Context, key string, r Rate) error
}

// NewLocalBudget returns a budget that belongs to this process alone.
func NewLocalBudget() Budget { return &localBudget{buckets: map[string]*rate.Limiter{}} }

type localBudget struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func (b *localBudget) Take(ctx context.Context, key string, r Rate) error {
	b.mu.Lock()
	bucket, ok := b.buckets[key]
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
		b.buckets[key] = bucket
	}
	b.mu.Unlock()
	if err := bucket.Wait(ctx); err != nil {
		return OverBudget(key, err)
	}
	return nil
}

// OverBudget is the error of a budget whose turn doesn't come in time. It
// doesn't count as a timeout: the outside system was never asked.
func OverBudget(key string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New(err.Error())
	}
	return &Error{Op: fmt.Sprintf("wait for the call budget %q", key), Class: ClassWait, Err: err}
}

// WatchBudget returns a budget that reports every call taken from b: how long
// it waited, at which rate, and whether it was refused. told must not block.
func WatchBudget(b Budget, told func(key string, r Rate, waited time.Duration, err error)) Budget {
	return watchedBudget{b, told}
}

type watchedBudget struct {
	budget Budget
	told   func(string, Rate, time.Duration, error)
}

func (w watchedBudget) Take(ctx context.Context, key string, r Rate) error {
	begin := time.Now()
	err := w.budget.Take(ctx, key, r)
	w.told(key, r, time.Since(begin), err)
	return err
}
