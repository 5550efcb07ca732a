package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

// crowd is how many goroutines make the same call concurrently.
const crowd = 8

// together runs do in n goroutines and returns their errors.
func together(n int, do func(n int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for k := range n {
		group.Go(func() {
			<-start
			errs[k] = do(k)
		})
	}
	close(start)
	group.Wait()
	return errs
}

func testIssuerConcurrency(t T, i *issuer) {
	c := i.valid(t)
	id := i.Issuer.CredentialID(c)
	for _, err := range together(crowd, func(int) error {
		i.Issuer.Traits()
		i.Issuer.CredentialID(c)
		if err := i.Issuer.Set(t.Context(), i.setRequest(c)); err != nil {
			return fmt.Errorf("set: %w", err)
		}
		if err := i.Issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil && !errors.Is(err, rota.ErrRefused) {
			return fmt.Errorf("test: %w", err)
		}
		if l, ok := i.Issuer.(rota.Lister); ok {
			if _, err := l.List(t.Context()); err != nil {
				return fmt.Errorf("list: %w", err)
			}
		}
		if i.renewer() {
			if _, err := i.renew(t.Context(), c, c.ExpiresAt()); err != nil {
				return fmt.Errorf("renew: %w", err)
			}
		}
		if u, ok := i.Issuer.(rota.UseReporter); ok {
			if _, err := u.LastUsed(t.Context(), id); err != nil {
				return fmt.Errorf("last use: %w", err)
			}
		}
		return nil
	}) {
		if i.seen(t, err) != nil {
			t.Error(err)
		}
	}
	i.works(t, c)
	d, ok := i.Issuer.(rota.Deactivator)
	if !ok {
		return
	}
	for _, err := range together(crowd, func(int) error {
		return d.Deactivate(t.Context(), i.retireRequest(id))
	}) {
		if i.seen(t, err) != nil {
			t.Errorf("deactivate at the same time: %v", err)
		}
	}
	i.refused(t, c)
	i.listed(t, id, "inactive")
	for _, err := range together(crowd, func(int) error { return i.delete(t.Context(), id) }) {
		if i.seen(t, err) != nil {
			t.Errorf("delete at the same time: %v", err)
		}
	}
	i.listed(t, id, "gone")
}

func testIssuerContext(t T, i *issuer) {
	c := i.valid(t)
	id := i.Issuer.CredentialID(c)
	retire := i.retireRequest(id)
	chooses := i.Issuer.Traits().IssuerChooses
	if chooses {
		honours(t, "create", i.Inject, "create", func(ctx context.Context) error {
			_, err := i.Issuer.Create(ctx, i.createRequest())
			return i.seen(t, err)
		}, rota.ErrLimit)
	} else {
		next := i.wrong(c)
		honours(t, "set", i.Inject, "set", func(ctx context.Context) error {
			return i.seen(t, i.Issuer.Set(ctx, i.setRequest(next)), next)
		})
	}
	honours(t, "test", i.Inject, "test", func(ctx context.Context) error {
		return i.seen(t, i.Issuer.Test(ctx, rota.TestRequest{Credential: c}))
	}, rota.ErrRefused)
	if i.Issuer.Traits().Overlap() {
		honours(t, "delete", i.Inject, "delete", func(ctx context.Context) error {
			return i.seen(t, i.delete(ctx, id))
		}, rota.ErrNotFound, rota.ErrConflict)
	}
	if i.renewer() {
		honours(t, "renew", i.Inject, "renew", func(ctx context.Context) error {
			_, err := i.renew(ctx, c, c.ExpiresAt())
			return i.seen(t, err)
		}, rota.ErrNotFound)
	}
	if l, ok := i.Issuer.(rota.Lister); ok {
		honours(t, "list", i.Inject, "list", func(ctx context.Context) error {
			_, err := l.List(ctx)
			return i.seen(t, err)
		})
	}
	if u, ok := i.Issuer.(rota.UseReporter); ok {
		t.Run("last use", func(t T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if use, err := u.LastUsed(ctx, id); i.seen(t, err) == nil && use.Evidence != rota.EvidenceUnknown {
				t.Errorf("a call that was cancelled has evidence %q", use.Evidence)
			}
		})
	}
	if d, ok := i.Issuer.(rota.Deactivator); ok {
		honours(t, "deactivate", i.Inject, "deactivate", func(ctx context.Context) error {
			return i.seen(t, d.Deactivate(ctx, retire))
		}, rota.ErrNotFound)
		honours(t, "reactivate", i.Inject, "reactivate", func(ctx context.Context) error {
			return i.seen(t, d.Reactivate(ctx, retire))
		}, rota.ErrNotFound)
	}
	if chooses || i.Issuer.Traits().Overlap() {
		i.works(t, c) // the canceled call changed nothing
	}
}

func testIssuerPreflight(t T, i *issuer) {
	c := i.valid(t)
	before := i.ids(t)
	preflight(t, i.Issuer)
	if diff := cmp.Diff(before, i.ids(t)); diff != "" {
		t.Errorf("preflight changed what exists:\n%s", diff)
	}
	i.works(t, c)
}

// ids returns the ids that the issuer lists, or nil if it can't list.
func (i *issuer) ids(t T) []string {
	t.Helper()
	lister, ok := i.Issuer.(rota.Lister)
	if !ok {
		return nil
	}
	list, err := lister.List(t.Context())
	if i.seen(t, err) != nil {
		t.Fatalf("list: %v", err)
	}
	var ids []string
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	slices.Sort(ids)
	return ids
}

// steps takes a credential through its life, calling try for each step with the
// method's name.
func (i *issuer) steps(t T, try func(op string, call func() error)) {
	t.Helper()
	i.valid(t)
	c := i.create(t)
	id := i.Issuer.CredentialID(c)
	if !i.Issuer.Traits().IssuerChooses {
		try("set", func() error { return i.Issuer.Set(t.Context(), i.setRequest(c)) })
	} else {
		i.set(t, c)
	}
	i.works(t, c)
	if !i.Issuer.Traits().Overlap() {
		return
	}
	if i.renewer() {
		try("renew", func() error {
			_, err := i.renew(t.Context(), c, c.ExpiresAt())
			return err
		})
		i.works(t, c)
	}
	if d, ok := i.Issuer.(rota.Deactivator); ok {
		retire := i.retireRequest(id)
		i.listed(t, id, "active")
		try("deactivate", func() error { return d.Deactivate(t.Context(), retire) })
		i.refused(t, c)
		i.listed(t, id, "inactive")
		try("reactivate", func() error { return d.Reactivate(t.Context(), retire) })
		i.works(t, c)
		i.listed(t, id, "active")
		try("deactivate", func() error { return d.Deactivate(t.Context(), retire) })
		i.refused(t, c)
		i.listed(t, id, "inactive")
	}
	try("delete", func() error { return i.delete(t.Context(), id) })
	if i.ends() {
		if i.Issuer.Traits().Revocable {
			i.refused(t, c)
		} else {
			i.works(t, c)
		}
		return
	}
	i.refused(t, c)
	i.listed(t, id, "gone")
	i.works(t, i.made[0])
}

func testIssuerFailBefore(t T, i *issuer) {
	if i.Inject("test", FailBefore) {
		c := i.create(t)
		if err := i.test(t, c); err == nil || errors.Is(err, rota.ErrRefused) {
			t.Errorf("test while the issuer can't be reached: want an error other than %q, got %v", rota.ErrRefused, err)
		}
		if i.Issuer.Traits().IssuerChooses {
			i.works(t, c)
		}
		i.made = nil
		if i.Issuer.Traits().IssuerChooses && !i.ends() {
			i.discard(t, c) // it takes up a place that the next ones need
		}
	}
	i.steps(t, func(op string, call func() error) {
		t.Helper()
		if i.Inject(op, FailBefore) {
			if err := i.seen(t, call()); err == nil {
				t.Errorf("%s succeeded although the issuer failed", op)
			}
		}
		if err := i.seen(t, call()); err != nil {
			t.Fatalf("%s, made again: %v", op, err)
		}
	})
	if i.Issuer.Traits().IssuerChooses && i.Inject("create", FailBefore) {
		before := i.ids(t)
		if _, err := i.Issuer.Create(t.Context(), i.createRequest()); i.seen(t, err) == nil {
			t.Error("create succeeded although the issuer failed")
		}
		if diff := cmp.Diff(before, i.ids(t)); diff != "" {
			t.Errorf("a create that failed, and is never retried, left a trace:\n%s", diff)
		}
	}
}

// discard deletes a credential, and deactivates it first where that can be done.
func (i *issuer) discard(t T, c rota.Credential) {
	t.Helper()
	id := i.Issuer.CredentialID(c)
	if d, ok := i.Issuer.(rota.Deactivator); ok {
		if err := i.seen(t, d.Deactivate(t.Context(), i.retireRequest(id)), c); err != nil {
			t.Fatalf("deactivate: %v", err)
		}
	}
	if err := i.seen(t, i.delete(t.Context(), id), c); err != nil {
		t.Fatalf("delete: %v", err)
	}
	i.listed(t, id, "gone")
}

func testIssuerLostReply(t T, i *issuer) {
	i.steps(t, func(op string, call func() error) {
		t.Helper()
		// An implementation can check on its own and find that the call succeeded.
		if i.Inject(op, LoseReply) {
			_ = i.seen(t, call())
		}
		if err := i.seen(t, call()); err != nil {
			t.Fatalf("%s, made again after its reply was lost: %v", op, err)
		}
	})
	if _, ok := i.Issuer.(rota.Lister); !ok || !i.Issuer.Traits().IssuerChooses || !i.Inject("create", LoseReply) {
		return
	}
	before, request := i.ids(t), i.createRequest()
	request.Taken = before // not those that were deleted
	if _, err := i.Issuer.Create(t.Context(), request); i.seen(t, err) == nil {
		t.Fatal("create succeeded although its reply was lost")
	}
	i.until(t, "listing the credential whose reply was lost", func() error {
		fresh := slices.DeleteFunc(i.ids(t), func(id string) bool { return slices.Contains(before, id) })
		if n := len(fresh); n != 1 {
			return fmt.Errorf("%d new ones, want 1", n)
		}
		return nil
	})
}

func testIssuerRepeat(t T, i *issuer) {
	i.steps(t, func(op string, call func() error) {
		t.Helper()
		i.Inject(op, Repeat)
		if err := i.seen(t, call()); err != nil {
			t.Fatalf("%s, sent twice: %v", op, err)
		}
	})
}
