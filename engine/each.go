package engine

import (
	"context"
	"sync"

	"rota"
)

// Each calls do with the index of every secret, from several goroutines, and
// gives the errors in the order of the secrets. A secret is begun when there is
// room at all of its systems; those with the same systems are begun in order.
// The secrets of a system that times out too often are skipped.
func Each(ctx context.Context, l Limits, secrets []*rota.Secret, do func(ctx context.Context, i int) error) []error {
	p := newPool(l)
	p.skipSick = true
	errs := make([]error, len(secrets))
	var all sync.WaitGroup
	all.Add(len(secrets))
	p.mu.Lock()
	for i, s := range secrets {
		p.queue(&turn{
			secret: s, ctx: ctx,
			do:  func(ctx context.Context) error { return do(ctx, i) },
			end: func(err error) { errs[i] = err; all.Done() },
		})
	}
	p.dispatch()
	p.unlock()
	stop := context.AfterFunc(ctx, func() { p.Close(context.Cause(ctx)) })
	defer stop()
	all.Wait()
	return errs
}
