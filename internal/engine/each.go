package engine

import (
	"context"
	"sync"

	"github.com/rota-dev/rota/rotation"
)

// Each has a pool of its own do with secrets what [Pool.Each] does.
func Each(ctx context.Context, l Limits, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error {
	return NewPool(l).Each(ctx, secrets, do)
}

// Each calls do with the index of every secret, from several goroutines, and
// gives the errors in the order of the secrets. Somebody waits for the answer:
// so these secrets are begun ahead of those that are merely due, those with the
// same systems in order; and those of a system that times out too often are
// skipped, as are those that are not begun when ctx ends.
func (p *Pool) Each(ctx context.Context, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error {
	errs := make([]error, len(secrets))
	turns := make([]*turn, len(secrets))
	var all sync.WaitGroup
	all.Add(len(secrets))
	for i, s := range secrets {
		turns[i] = &turn{
			secret: s, ctx: ctx, asked: true,
			do:  func(ctx context.Context) error { return do(ctx, i) },
			end: func(err error) { errs[i] = err; all.Done() },
		}
	}
	p.add(turns...)
	stop := context.AfterFunc(ctx, func() { p.abandon(turns, context.Cause(ctx)) })
	defer stop()
	all.Wait()
	return errs
}

// abandon ends those of the turns that are not begun yet.
func (p *Pool) abandon(turns []*turn, why error) {
	p.mu.Lock()
	defer p.unlock()
	for _, t := range turns {
		if p.remove(t) {
			p.refuse(t, "", why)
		}
	}
}
