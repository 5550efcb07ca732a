package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
)

// The clock is the database's, because those of the replicas differ. A
// statement may have waited for another's, so the clock is read once the row is
// locked.
const (
	sqlTakeBudget = `INSERT INTO budgets AS b (key, tokens, refilled_at) VALUES ($1, $2::float8 - $4, clock_timestamp())
		ON CONFLICT (key) DO UPDATE SET
			tokens = least($2, b.tokens + $3::float8 * greatest(0, extract(epoch FROM clock_timestamp() - b.refilled_at))) - $4,
			refilled_at = greatest(b.refilled_at, clock_timestamp())
		RETURNING tokens`
	sqlGiveBudget = `UPDATE budgets SET tokens = tokens + $2 WHERE key = $1`
)

// budgetTimeout limits one statement.
const budgetTimeout = 10 * time.Second

// NewSharedBudget returns a budget that all replicas share, in the store's
// database, whose schema must be up to date. Concurrent callers share one
// query.
func NewSharedBudget(pool *pgxpool.Pool) rota.Budget {
	return &sharedBudget{pool: pool, keys: map[string]*budgetQueue{}}
}

type sharedBudget struct {
	pool *pgxpool.Pool

	mu   sync.Mutex
	keys map[string]*budgetQueue
}

// budgetQueue is the callers waiting for one key.
type budgetQueue struct {
	waiting []*budgetRequest
	busy    bool // a query is in flight
}

// budgetRequest is one call that asks for a token.
type budgetRequest struct {
	ctx    context.Context
	result chan budgetResult
}

type budgetResult struct {
	wait time.Duration // until the call may be made
	err  error
}

func (b *sharedBudget) Take(ctx context.Context, key string, r rota.Rate) error {
	if r.PerSecond <= 0 || r.Burst < 1 {
		return rota.OverBudget(key, errors.New("its rate is zero"))
	}
	ask := &budgetRequest{ctx: ctx, result: make(chan budgetResult, 1)}
	b.enqueue(key, r, ask)
	var answer budgetResult
	select {
	case answer = <-ask.result:
	case <-ctx.Done():
		return rota.OverBudget(key, context.Cause(ctx))
	}
	if answer.err != nil {
		return rota.OverBudget(key, answer.err)
	}
	turn := time.NewTimer(answer.wait)
	defer turn.Stop()
	select {
	case <-turn.C:
		return nil
	case <-ctx.Done():
		return rota.OverBudget(key, context.Cause(ctx))
	}
}

// enqueue queues a call, and starts a query if none is in flight.
func (b *sharedBudget) enqueue(key string, r rota.Rate, ask *budgetRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.keys[key]
	if q == nil {
		q = &budgetQueue{}
		b.keys[key] = q
	}
	q.waiting = append(q.waiting, ask)
	if !q.busy {
		q.busy = true
		go b.serve(key, r, q)
	}
}

// serve queries for everyone who's waiting, until nobody is.
func (b *sharedBudget) serve(key string, r rota.Rate, q *budgetQueue) {
	for {
		b.mu.Lock()
		asks := q.waiting
		q.waiting = nil
		q.busy = len(asks) > 0
		b.mu.Unlock()
		if len(asks) == 0 {
			return
		}
		b.takeTokens(key, r, asks)
	}
}

// takeTokens takes a token for each call, and tells each how long to wait.
// Tokens that would come too late for their call are given back.
func (b *sharedBudget) takeTokens(key string, r rota.Rate, asks []*budgetRequest) {
	ctx, cancel := context.WithTimeout(context.Background(), budgetTimeout)
	defer cancel()
	var left float64
	if err := b.pool.QueryRow(ctx, sqlTakeBudget, key, r.Burst, r.PerSecond, len(asks)).Scan(&left); err != nil {
		for _, a := range asks {
			a.result <- budgetResult{err: fmt.Errorf("ask the database: %w", err)}
		}
		return
	}
	next := left + float64(len(asks)) - 1 // the tokens left once the first of these is served
	back := 0
	for _, a := range asks {
		wait := time.Duration(math.Max(0, -next/r.PerSecond) * float64(time.Second))
		deadline, bounded := a.ctx.Deadline()
		if a.ctx.Err() != nil || bounded && time.Until(deadline) < wait {
			back++
			a.result <- budgetResult{err: fmt.Errorf("its turn is in %s, after the call's deadline", wait.Round(time.Millisecond))}
			continue
		}
		next--
		a.result <- budgetResult{wait: wait}
	}
	if back > 0 {
		// If this fails, calls are made a little later than necessary.
		_, _ = b.pool.Exec(ctx, sqlGiveBudget, key, back)
	}
}
