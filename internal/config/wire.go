package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/manual"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/rotation"
)

// Wired is a file's secrets, bound to their systems.
type Wired struct {
	// Secrets are those that could be wired, in the file's order.
	Secrets []*rotation.Secret
	// ByName holds the same.
	ByName map[string]*rotation.Secret
	// Broken says why the other secrets could not be wired. One that is broken
	// stops no other.
	Broken map[string]error
	// Watched are the broken ones with what is needed to raise an alert for them:
	// name, policy and those notifiers that could be wired.
	Watched map[string]*rotation.Secret
	// Notifiers are those that the secrets use, by their connection's name.
	Notifiers map[string]rota.Notifier
	// Digesters are the notifiers among them that gather events: their Flush is
	// to be called from time to time.
	Digesters []*rotation.Digester
	// Warnings are what is a risk but no error, such as a password file that a
	// group may read.
	Warnings []Problem

	closers []func()
}

// Close ends all connections. It may be called again.
func (w *Wired) Close() error {
	for _, end := range slices.Backward(w.closers) {
		end()
	}
	w.closers = nil
	return nil
}

// wiring is the making of a Wired. Everything is made when it is first needed,
// and once.
type wiring struct {
	file        *File
	env         Environment
	warnings    problems
	aws         map[string]memo[*aws.Connection]
	postgres    map[string]memo[*postgres.Connection]
	notifiers   map[string]memo[rota.Notifier]
	digesters   map[string]*rotation.Digester // by their names
	stores      map[string]memo[rota.Store]
	credentials map[string]memo[rota.Credential]
	closers     []func()
}

type memo[T any] struct {
	value T
	err   error
}

// once makes a thing when it is first asked for.
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
		warnings:    problems{file: f.Path},
		aws:         map[string]memo[*aws.Connection]{},
		postgres:    map[string]memo[*postgres.Connection]{},
		notifiers:   map[string]memo[rota.Notifier]{},
		digesters:   map[string]*rotation.Digester{},
		stores:      map[string]memo[rota.Store]{},
		credentials: map[string]memo[rota.Credential]{},
	}
}

// Wire makes the providers' objects and resolves the references that they
// need. It calls no outside system, but for ${secret:…}, which reads the other
// secret's store. Values are read now: who wants later ones wires again.
//
// What is wrong with one secret goes to Broken; the error is for what concerns
// all.
func (f *File) Wire(ctx context.Context, env Environment) (*Wired, error) {
	w := newWiring(f, env)
	out := &Wired{ByName: map[string]*rotation.Secret{}, Broken: map[string]error{}, Watched: map[string]*rotation.Secret{}, Notifiers: map[string]rota.Notifier{}}
	for _, s := range f.Document.Secrets {
		secret, err := w.secret(ctx, s)
		if err != nil {
			out.Broken[s.Name.Text] = fmt.Errorf("secret %s: %w", s.Name.Text, err)
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

// secret wires one secret. All that is wrong with it is said at once; it has then
// what could be wired all the same.
func (w *wiring) secret(ctx context.Context, s *Secret) (*rotation.Secret, error) {
	var errs []error
	keep := func(err error) {
		if err != nil && !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	out := &rotation.Secret{Name: s.Name.Text, Owner: s.Owner.Text, Systems: s.systems(), Policy: w.file.policies[s.Name.Text]}
	var err error
	out.Issuer, err = w.issuer(ctx, s)
	keep(err)
	out.Store, err = w.store(ctx, s)
	keep(err)
	for i, c := range s.Test {
		check, err := w.check(ctx, s, i, c)
		keep(err)
		out.Checks = append(out.Checks, check)
	}
	for _, t := range s.Target {
		target, err := w.target(ctx, t)
		keep(err)
		out.Targets = append(out.Targets, target)
	}
	for _, r := range s.Reload {
		reloader, err := w.reloader(ctx, r)
		keep(err)
		out.Reloaders = append(out.Reloaders, reloader)
	}
	for _, x := range w.file.Document.notices(s) {
		notifier, err := w.notice(ctx, x)
		if keep(err); err == nil {
			out.Notifiers = append(out.Notifiers, notifier)
		}
	}
	return out, errors.Join(errs...)
}

// systems are the connections that a secret's steps speak to. Notifiers are
// left out: what they delay is no step.
func (s *Secret) systems() []string {
	if s.Issuer.Manual != nil {
		return nil
	}
	systems := []string{s.Issuer.Connection.Text}
	if s.Store != nil {
		systems = append(systems, s.Store.Connection.Text)
	}
	for _, t := range s.Target {
		if c := t.connection(); c != "" {
			systems = append(systems, c)
		}
	}
	slices.Sort(systems)
	return slices.Compact(systems)
}

func (w *wiring) issuer(ctx context.Context, s *Secret) (rota.Issuer, error) {
	switch i := s.Issuer; {
	case i.Manual != nil:
		return manual.Issuer{What: i.Manual.What.Text}, nil
	case i.IAMAccessKey != nil:
		return w.iamAccessKey(ctx, s)
	case i.AssumeRole != nil:
		return w.assumeRole(ctx, i)
	case i.Password != nil:
		return w.postgresPassword(ctx, i)
	default:
		return w.postgresAlternating(ctx, i)
	}
}

func (w *wiring) target(ctx context.Context, t *Target) (rota.Target, error) {
	if t.SSMParameter != nil {
		return w.parameter(ctx, t)
	}
	return w.fileTarget(ctx, t)
}

func (w *wiring) store(ctx context.Context, s *Secret) (rota.Store, error) {
	return once(w.stores, s.Name.Text, func() (rota.Store, error) {
		if s.Store != nil {
			return w.secretsManager(ctx, s.Store)
		}
		if own := w.env.OwnStore(s.Name.Text); own != nil {
			return own, nil
		}
		return nil, errors.New("has no store, and Rota's own is not open here (try: store: {connection: …, secrets_manager: {name: …}})")
	})
}

func (w *wiring) check(ctx context.Context, s *Secret, i int, c *Check) (rota.Check, error) {
	if c.S3Bucket.IsSet() {
		return w.bucket(ctx, s.Issuer.Connection.Text, c.S3Bucket)
	}
	return w.query(ctx, s.Issuer.Connection.Text, fmt.Sprintf("query %d", i+1), c.Query)
}
