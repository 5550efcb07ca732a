package engine

import (
	"context"
	"sync"

	"github.com/rota-dev/rota/rotation"
)

// Each is [Pool.Each] with a pool of its own.
func Each(ctx context.Context, l Limits, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error {
	return NewPool(l).Each(ctx, secrets, do)
}

// Each calls do with the index of every secret, from several goroutines, and
// returns the errors in the order of the secrets. A caller is waiting, so these
// turns start ahead of those that are merely due, and are skipped while a
// system's circuit is open. Those that haven't started when ctx ends are skipped
// too.
func (p *Pool) Each(ctx context.Context, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error {
	errs := make([]error, len(secrets))
	turns := make([]*turn, len(secrets))
	var all sync.WaitGroup
	all.Add(len(secrets))
	for i, s := range secrets {
		turns[i] = &turn{
			secret: s, ctx: ctx, interactive: true,
			do:  func(ctx context.Context) error { return do(ctx, i) },
			end: func(err error) { errs[i] = err; all.Done() },
		}
	}
	p.add(turns...)
	stop := context.AfterFunc(ctx, func() { p.withdrawAll(turns, context.Cause(ctx)) })
	defer stop()
	all.Wait()
	return errs
}

// withdrawAll ends those of the turns that haven't started.
func (p *Pool) withdrawAll(turns []*turn, why error) {
	p.mu.Lock()
	defer p.unlock()
	for _, t := range turns {
		if p.remove(t) {
			p.refuse(t, "", why)
		}
	}
}
