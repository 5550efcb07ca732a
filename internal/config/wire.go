package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// Wired is a file's secrets, connected to their systems.
type Wired struct {
	// Secrets are the ones that could be wired, in the file's order.
	Secrets []*rotation.Secret
	// ByName holds the same secrets, by name.
	ByName map[string]*rotation.Secret
	// Broken says why each of the other secrets could not be wired. One broken
	// secret doesn't stop the others.
	Broken map[string]error
	// Watched holds the broken secrets with just enough to alert about them:
	// name, policy, and the notifiers that could be wired.
	Watched map[string]*rotation.Secret
	// Notifiers are the ones the secrets use, by connection name.
	Notifiers map[string]rota.Notifier
	// Digesters are those notifiers that batch events. Call their Flush
	// periodically.
	Digesters []*rotation.Digester
	// Warnings are risks that aren't errors, such as a group-readable password
	// file.
	Warnings []Problem

	closers []func()
}

// Close closes all connections. It's safe to call more than once.
func (w *Wired) Close() error {
	for _, end := range slices.Backward(w.closers) {
		end()
	}
	w.closers = nil
	return nil
}

// wiring builds a Wired. Each object is made lazily, and only once.
type wiring struct {
	file        *File
	env         Environment
	own         []provider.OwnPath
	warnings    problems
	opened      map[string]memo[any] // connections, by name
	notifiers   map[string]memo[rota.Notifier]
	digesters   map[string]*rotation.Digester // by name
	stores      map[string]memo[rota.Store]
	credentials map[string]memo[rota.Credential]
	closers     []func()
	unused      bool    // nobody logs in with what's made: logins can be missing
	missing     []error // why they are
}

type memo[T any] struct {
	value T
	err   error
}

// once makes a value on first use and memoizes it.
func once[T any](made map[string]memo[T], name string, make func() (T, error)) (T, error) {
	m, ok := made[name]
	if !ok {
		m.value, m.err = make()
		made[name] = m
	}
	return m.value, m.err
}

func newWiring(f *File, env Environment) *wiring {
	return &wiring{
		file:        f,
		env:         env.withDefaults(),
		own:         f.ownPaths(),
		warnings:    problems{file: f.Path},
		opened:      map[string]memo[any]{},
		notifiers:   map[string]memo[rota.Notifier]{},
		digesters:   map[string]*rotation.Digester{},
		stores:      map[string]memo[rota.Store]{},
		credentials: map[string]memo[rota.Credential]{},
	}
}

// Wire makes the providers' objects and resolves the references they need. It
// calls no outside system, except that ${secret:…} reads the other secret's
// store. Values are read now; to pick up later ones, wire again.
//
// A problem with one secret goes into Broken. The returned error is for
// problems that affect all of them.
func (f *File) Wire(ctx context.Context, env Environment) (*Wired, error) {
	w := newWiring(f, env)
	out := &Wired{ByName: map[string]*rotation.Secret{}, Broken: map[string]error{}, Watched: map[string]*rotation.Secret{}, Notifiers: map[string]rota.Notifier{}}
	for _, s := range f.Document.Secrets {
		secret, err := w.secret(ctx, s)
		if err != nil {
			out.Broken[s.Name.Text] = &rotation.SecretError{Secret: s.Name.Text, Err: err}
		}
		out.ByName[s.Name.Text] = secret
	}
	w.collisions(ctx, out)
	for _, s := range f.Document.Secrets {
		secret := out.ByName[s.Name.Text]
		if out.Broken[s.Name.Text] == nil {
			out.Secrets = append(out.Secrets, secret)
			continue
		}
		delete(out.ByName, s.Name.Text)
		out.Watched[s.Name.Text] = &rotation.Secret{Name: secret.Name, Owner: secret.Owner, Policy: secret.Policy, Notifiers: secret.Notifiers}
	}
	for name, n := range w.notifiers {
		if n.err == nil {
			out.Notifiers[name] = n.value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.digesters)) {
		out.Digesters = append(out.Digesters, w.digesters[name])
	}
	out.Warnings = w.warnings.sorted()
	out.closers = w.closers
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("config %s: %w", f.Path, err), out.Close())
	}
	return out, nil
}

// secret wires one secret. It reports everything wrong with it at once, and
// still returns whatever could be wired.
func (w *wiring) secret(ctx context.Context, s *Secret) (*rotation.Secret, error) {
	var errs []error
	keep := func(err error) {
		if err != nil && !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	out := &rotation.Secret{Name: s.Name.Text, Owner: s.Owner.Text, Systems: w.file.Document.systems(s), Policy: w.file.policies[s.Name.Text]}
	var err error
	out.Store, err = w.store(ctx, s)
	storeErr := err
	for _, p := range s.pieces() {
		b := w.build(ctx, s, p)
		switch cfg := p.config.(type) {
		case provider.IssuerConfig:
			if out.Issuer, err = cfg.Issuer(b); err == nil {
				err = rota.ValidateIssuer(out.Issuer)
			}
			out.Fields = cfg.Fields().All
			keep(err)
			keep(storeErr)
		case provider.CheckConfig:
			check, err := cfg.Check(b)
			keep(err)
			out.Checks = append(out.Checks, check)
		case provider.TargetConfig:
			target, err := cfg.Target(b)
			keep(err)
			out.Targets = append(out.Targets, target)
		case provider.ReloaderConfig:
			reloader, err := cfg.Reloader(b)
			keep(err)
			out.Reloaders = append(out.Reloaders, reloader)
		}
	}
	for _, x := range w.file.Document.notices(s) {
		notifier, err := w.notice(ctx, x)
		switch {
		case errors.Is(err, errNoCurrent):
			w.warnings.add(x.At, s.path().Key("notify"), "rotate or adopt that secret", "%q hears of nothing yet: %v", x.Parts.Connection.Text, err)
		case err != nil:
			keep(err)
		default:
			out.Notifiers = append(out.Notifiers, notifier)
		}
	}
	return out, errors.Join(errs...)
}

// build returns the input for the constructor of one of a secret's kinds.
func (w *wiring) build(ctx context.Context, s *Secret, p piece) *provider.Build {
	b := provider.NewBuild(ctx, w)
	b.Name, b.Connection = p.name, p.connection.Text
	b.Passwords = w.file.Document.Defaults.Password
	b.Advice = cmp.Or(s.Advice.Text, w.file.Document.Defaults.Advice.Text) != "off"
	b.Own = w.own
	for _, t := range s.Target {
		b.Platforms = append(b.Platforms, t.Kind.kind.platform)
	}
	return b
}

// Budget implements [provider.Source].
func (w *wiring) Budget() rota.Budget { return w.env.Budget }

// Open implements [provider.Source]. It makes the connection on first use, and
// only once.
func (w *wiring) Open(ctx context.Context, name string) (any, error) {
	return once(w.opened, name, func() (any, error) {
		cfg, ok := w.file.Document.connectionConfig(name).(provider.ConnectionConfig)
		if !ok {
			return nil, fmt.Errorf("connection %s: %w", name, rota.ErrNotFound) // already rejected by validation
		}
		b := provider.NewBuild(ctx, w)
		b.Name, b.Reach = name, w.file.reach(name)
		before := len(w.missing)
		opened, err := cfg.Open(b)
		if b.Err() == nil && err != nil { // it may not take what stands for a login
			err = cmp.Or(errors.Join(w.missing[before:]...), err)
		}
		if err != nil {
			return nil, err
		}
		switch c := opened.(type) {
		case interface{ Close() }:
			w.closers = append(w.closers, c.Close)
		case io.Closer:
			w.closers = append(w.closers, func() { _ = c.Close() })
		}
		return opened, nil
	})
}

func (w *wiring) store(ctx context.Context, s *Secret) (rota.Store, error) {
	return once(w.stores, s.Name.Text, func() (rota.Store, error) {
		if s.Store != nil {
			b := provider.NewBuild(ctx, w)
			b.Connection = s.Store.Connection.Text
			return s.Store.Kind.config.(provider.StoreConfig).Store(b)
		}
		if own := w.env.OwnStore(s.Name.Text); own != nil {
			return own, nil
		}
		return nil, rota.WithRemedies(errors.New("has no store, and Rota's own is not open here"), rota.Configure("", "store: {connection: …, "+strings.Join(w.file.catalog.keys(roleStore), " or ")+": …}"))
	})
}

// notice makes the notifier for one entry under notify. Identical entries share
// one.
func (w *wiring) notice(ctx context.Context, x Notice) (rota.Notifier, error) {
	n, err := w.notifier(ctx, x.Parts.Connection.Text)
	if err != nil {
		return nil, err
	}
	if kinds := x.kinds(); len(kinds) > 0 {
		n = rotation.Only(n, kinds...)
	}
	every := x.Parts.Digest.Length
	if every == 0 {
		return n, nil
	}
	d := &rotation.Digester{Notifier: n, Every: every, Outbox: w.env.Outbox}
	if known, ok := w.digesters[d.Name()]; ok {
		return known, nil
	}
	w.digesters[d.Name()] = d
	return d, nil
}

func (w *wiring) notifier(ctx context.Context, name string) (rota.Notifier, error) {
	return once(w.notifiers, name, func() (rota.Notifier, error) {
		b := provider.NewBuild(ctx, w)
		b.Name, b.Reach = name, w.file.reach(name)
		return w.file.Document.connectionConfig(name).(provider.NotifierConfig).Notifier(b)
	})
}
