package config

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// Piece is what a provider made of one of a secret's kinds: an issuer, a store,
// a check, a target, a reloader or a notifier.
type Piece struct {
	// Secret is the secret's name, "" for the server's own.
	Secret string
	// Made is what the kind's constructor returned.
	Made any
}

// Pieces are all that works over connections of one kind for the named secrets,
// or for all secrets and the server where no name is given. They are made as for
// [File.Wire], but nothing of other systems is: what only those need may be
// missing.
func (f *File) Pieces(ctx context.Context, env Environment, connection string, names []string) ([]Piece, error) {
	w := newWiring(f, env)
	over := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			c := f.Document.Connections[name]
			return c != nil && c.Kind.Key() == connection
		})
	}
	var all []Piece
	var errs []error
	for _, s := range f.Document.Secrets {
		if len(names) > 0 && !slices.Contains(names, s.Name.Text) {
			continue
		}
		made, err := w.pieces(ctx, s, over)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %s: %w", s.Name.Text, err))
		}
		all = append(all, made...)
	}
	if len(names) == 0 {
		made, err := w.archives(ctx, over)
		errs = append(errs, err)
		all = append(all, made...)
	}
	return all, errors.Join(errs...)
}

// pieces are those of one secret, in the order issuer, store, checks,
// targets, reloaders, notifiers.
func (w *wiring) pieces(ctx context.Context, s *Secret, over func(names []string) bool) ([]Piece, error) {
	var all []Piece
	var errs []error
	keep := func(made any, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		all = append(all, Piece{Secret: s.Name.Text, Made: made})
	}
	for _, p := range s.pieces() {
		if !over(p.connections()) {
			continue
		}
		b := w.build(ctx, s, p)
		switch cfg := p.config.(type) {
		case provider.IssuerConfig:
			keep(cfg.Issuer(b))
		case provider.StoreConfig:
			keep(w.store(ctx, s))
		case provider.CheckConfig:
			keep(cfg.Check(b))
		case provider.TargetConfig:
			keep(cfg.Target(b))
		case provider.ReloaderConfig:
			keep(cfg.Reloader(b))
		}
	}
	for _, x := range w.file.Document.notices(s) {
		name := x.Parts.Connection.Text
		if over(w.file.Document.with([]string{name})) {
			keep(w.notifier(ctx, name))
		}
	}
	return all, errors.Join(errs...)
}

// Connections are the file's connections of one kind with these names, or all
// of them, opened and sorted by name. One that can't be opened goes into the
// errors, by name.
func (f *File) Connections(ctx context.Context, env Environment, kind string, names []string) (opened []any, failed map[string]error) {
	w := newWiring(f, env)
	failed = map[string]error{}
	for _, name := range sortedNames(f.Document.Connections) {
		if f.Document.Connections[name].Kind.Key() != kind || (len(names) > 0 && !slices.Contains(names, name)) {
			continue
		}
		c, err := w.Open(ctx, name)
		if err != nil {
			failed[name] = err
			continue
		}
		opened = append(opened, c)
	}
	return opened, failed
}
