package crash

import (
	"context"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// issuer is what the issuers can do whose calls fail as a whole.
type issuer interface {
	rota.Issuer
	rota.Lister
	rota.UseReporter
	rota.Teller
	rota.Completer
}

// calls are those of an issuer whose system can't be made to fail on the wire.
type calls struct {
	system string
	inner  issuer
	scene  *scene
	past   []rota.Issued // the list before the last write
}

// connect is a fixture's: it makes the issuer for one process.
func (c *calls) connect(p *process, s *rotation.Secret) error {
	wrapped := &wrappedIssuer{c, p}
	s.Issuer = wrapped
	if namer, ok := c.inner.(rota.Namer); ok {
		named := &wrappedNamer{wrapped, namer}
		s.Issuer = named
		if off, ok := c.inner.(rota.Deactivator); ok {
			s.Issuer = &wrappedDeactivator{named, off}
		}
	}
	return nil
}

// wrappedIssuer makes an issuer's calls fail.
type wrappedIssuer struct {
	*calls
	p *process
}

func (i *wrappedIssuer) Traits() rota.Traits                   { return i.inner.Traits() }
func (i *wrappedIssuer) CredentialID(c rota.Credential) string { return i.inner.CredentialID(c) }

func (i *wrappedIssuer) Complete(c rota.Credential) rota.Credential { return i.inner.Complete(c) }

// Create doesn't touch the outside.
func (i *wrappedIssuer) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	return i.inner.Create(ctx, r)
}

func (i *wrappedIssuer) write(ctx context.Context, op string, act func(context.Context) error) error {
	return i.p.do(ctx, call{i.system, op, ""}, func(ctx context.Context, _ effect) error {
		before, err := i.inner.List(ctx)
		if err != nil {
			return err
		}
		i.past = slices.Clone(before)
		return act(ctx)
	})
}

func (i *wrappedIssuer) Set(ctx context.Context, r rota.SetRequest) error {
	return i.write(ctx, "set", func(ctx context.Context) error {
		if !i.Traits().Overlap() {
			i.scene.consumers.mayGap()
		}
		return i.inner.Set(ctx, r)
	})
}

func (i *wrappedIssuer) Test(ctx context.Context, r rota.TestRequest) error {
	return i.p.do(ctx, call{i.system, "test", ""}, func(ctx context.Context, _ effect) error { return i.inner.Test(ctx, r) })
}

func (i *wrappedIssuer) Delete(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "delete", func(ctx context.Context) error { return i.inner.Delete(ctx, r) })
}

func (i *wrappedIssuer) List(ctx context.Context) (issued []rota.Issued, err error) {
	err = i.p.do(ctx, call{i.system, "list", ""}, func(ctx context.Context, e effect) error {
		if e.stale {
			issued = slices.Clone(i.past)
			return nil
		}
		issued, err = i.inner.List(ctx)
		return err
	})
	return issued, err
}

func (i *wrappedIssuer) LastUsed(ctx context.Context, id string) (u rota.Use, err error) {
	err = i.p.do(ctx, call{i.system, "last used", ""}, func(ctx context.Context, _ effect) error {
		u, err = i.inner.LastUsed(ctx, id)
		return err
	})
	return u, err
}

func (i *wrappedIssuer) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	err = i.p.do(ctx, call{i.system, "in force", ""}, func(ctx context.Context, _ effect) error {
		inForce, known, err = i.inner.InForce(ctx, c)
		return err
	})
	return inForce, known, err
}

// wrappedNamer is a wrappedIssuer whose credentials have fixed names.
type wrappedNamer struct {
	*wrappedIssuer
	namer rota.Namer
}

func (i *wrappedNamer) Names() []string { return i.namer.Names() }

// wrappedDeactivator is a wrappedNamer that can deactivate credentials.
type wrappedDeactivator struct {
	*wrappedNamer
	off rota.Deactivator
}

func (i *wrappedDeactivator) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "deactivate", func(ctx context.Context) error { return i.off.Deactivate(ctx, r) })
}

func (i *wrappedDeactivator) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "reactivate", func(ctx context.Context) error { return i.off.Reactivate(ctx, r) })
}
