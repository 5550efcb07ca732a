package crash

import (
	"context"
	"slices"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// outward makes the calls of an issuer fail that reaches its system in another way
// than a proxy could: over SSH, or through a program. It has just the optional
// interfaces that the issuer has.
type outward struct {
	rota.Issuer
	system string
	scene  *scene

	mu   sync.Mutex
	past []rota.Issued // the list before the last write
}

// connect is a fixture's: it makes the issuer for one process.
func (o *outward) connect(p *process, s *rotation.Secret) error {
	i := &outwardIssuer{o, p}
	_, lists := o.Issuer.(rota.Lister)
	_, reports := o.Issuer.(rota.UseReporter)
	_, reverses := o.Issuer.(rota.Deactivator)
	switch {
	case reports && reverses:
		s.Issuer = &struct {
			*outwardIssuer
			outwardLister
			outwardReporter
			outwardReverser
		}{i, outwardLister{i}, outwardReporter{i}, outwardReverser{i}}
	case reverses:
		s.Issuer = &struct {
			*outwardIssuer
			outwardLister
			outwardReverser
		}{i, outwardLister{i}, outwardReverser{i}}
	case lists:
		s.Issuer = &struct {
			*outwardIssuer
			outwardLister
		}{i, outwardLister{i}}
	default:
		s.Issuer = i
	}
	return nil
}

type outwardIssuer struct {
	*outward
	p *process
}

// write makes a call with an effect, and remembers the list before it.
func (i *outwardIssuer) write(ctx context.Context, op string, act func(context.Context) error) error {
	return i.p.do(ctx, call{i.system, op, ""}, func(ctx context.Context, _ effect) error {
		if l, ok := i.Issuer.(rota.Lister); ok {
			before, err := l.List(ctx)
			if err != nil {
				return err
			}
			i.mu.Lock()
			i.past = before
			i.mu.Unlock()
		}
		return act(ctx)
	})
}

// Complete implements [rota.Completer] as far as the issuer does.
func (i *outwardIssuer) Complete(c rota.Credential) rota.Credential {
	if completer, ok := i.Issuer.(rota.Completer); ok {
		return completer.Complete(c)
	}
	return c
}

func (i *outwardIssuer) Create(ctx context.Context, r rota.CreateRequest) (c rota.Credential, err error) {
	if !i.Traits().IssuerChooses { // then it doesn't touch the outside
		return i.Issuer.Create(ctx, r)
	}
	err = i.write(ctx, "create", func(ctx context.Context) error {
		c, err = i.Issuer.Create(ctx, r)
		return err
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return c, nil
}

func (i *outwardIssuer) Set(ctx context.Context, r rota.SetRequest) error {
	if i.Traits().IssuerChooses {
		return i.Issuer.Set(ctx, r)
	}
	return i.write(ctx, "set", func(ctx context.Context) error {
		if !i.Traits().Overlap() {
			i.scene.consumers.mayGap()
		}
		return i.Issuer.Set(ctx, r)
	})
}

func (i *outwardIssuer) Test(ctx context.Context, r rota.TestRequest) error {
	return i.p.do(ctx, call{i.system, "test", ""}, func(ctx context.Context, _ effect) error { return i.Issuer.Test(ctx, r) })
}

func (i *outwardIssuer) Delete(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "delete", func(ctx context.Context) error { return i.Issuer.Delete(ctx, r) })
}

func (i *outwardIssuer) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	err = i.p.do(ctx, call{i.system, "in force", ""}, func(ctx context.Context, _ effect) error {
		inForce, known, err = i.Issuer.(rota.Teller).InForce(ctx, c)
		return err
	})
	return inForce, known, err
}

type outwardLister struct{ i *outwardIssuer }

func (l outwardLister) List(ctx context.Context) (issued []rota.Issued, err error) {
	err = l.i.p.do(ctx, call{l.i.system, "list", ""}, func(ctx context.Context, e effect) error {
		if e.stale {
			l.i.mu.Lock()
			defer l.i.mu.Unlock()
			issued = slices.Clone(l.i.past)
			return nil
		}
		issued, err = l.i.Issuer.(rota.Lister).List(ctx)
		return err
	})
	return issued, err
}

type outwardReporter struct{ i *outwardIssuer }

func (r outwardReporter) LastUsed(ctx context.Context, id string) (u rota.Use, err error) {
	err = r.i.p.do(ctx, call{r.i.system, "last used", ""}, func(ctx context.Context, _ effect) error {
		u, err = r.i.Issuer.(rota.UseReporter).LastUsed(ctx, id)
		return err
	})
	return u, err
}

type outwardReverser struct{ i *outwardIssuer }

func (r outwardReverser) Deactivate(ctx context.Context, q rota.RetireRequest) error {
	return r.i.write(ctx, "deactivate", func(ctx context.Context) error { return r.i.Issuer.(rota.Deactivator).Deactivate(ctx, q) })
}

func (r outwardReverser) Reactivate(ctx context.Context, q rota.RetireRequest) error {
	return r.i.write(ctx, "reactivate", func(ctx context.Context) error { return r.i.Issuer.(rota.Deactivator).Reactivate(ctx, q) })
}
