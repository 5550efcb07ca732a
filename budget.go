package rota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how many calls a budget allows.
type Rate struct {
	PerSecond float64
	Burst     int // calls allowed at once after a pause
}

// Budget rate-limits calls to an outside system. Callers that use the same key
// share a budget: every secret in the process, and every replica if the budget
// is kept in a database.
type Budget interface {
	// Take blocks until one call is allowed. If ctx is done, or its deadline
	// would pass first, it fails immediately with an error of class [ClassWait].
	// key names the account and the operation, such as "aws 111122223333 iam".
	// All callers must pass the same rate for a key.
	Take(ctx context.Context, key string, r Rate) error
}

// NewLocalBudget returns a budget that only this process uses.
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

// OverBudget returns the error for a call that the budget didn't allow in time.
// It doesn't count as a timeout, because the outside system was never called.
func OverBudget(key string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New(err.Error())
	}
	return &Error{Op: fmt.Sprintf("wait for the call budget %q", key), Class: ClassWait, Err: err}
}

// WatchBudget wraps b and passes every Take to told: its key and rate, how long
// it waited, and its error if it was refused. told must not block.
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
