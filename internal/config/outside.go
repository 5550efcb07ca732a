package config

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota/provider"
)

// Pieces returns everything that works over connections of one kind, for the
// named secrets, or for all secrets and the server if no names are given. They
// are made as in [File.Wire]. Nothing of other systems is made, so values that
// only those need can be missing. So can logins: nobody logs in.
func (f *File) Pieces(ctx context.Context, env Environment, connection string, names []string) ([]provider.Piece, error) {
	w := newWiring(f, env)
	w.unused = true
	over := func(names []string) []string {
		return slices.DeleteFunc(f.Document.with(names), func(name string) bool {
			c := f.Document.Connections[name]
			return c == nil || c.Kind.Key() != connection
		})
	}
	var all []provider.Piece
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

// pieces returns those of one secret, in the order issuer, store, checks,
// targets, reloaders, notifiers.
func (w *wiring) pieces(ctx context.Context, s *Secret, over func(names []string) []string) ([]provider.Piece, error) {
	var all []provider.Piece
	var errs []error
	var connections []string // of the current piece
	keep := func(made any, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		all = append(all, provider.Piece{Secret: s.Name.Text, Connections: connections, Made: made})
	}
	for _, p := range s.pieces() {
		if connections = over(p.connections()); len(connections) == 0 {
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
		if connections = over([]string{name}); len(connections) > 0 {
			keep(w.notifier(ctx, name))
		}
	}
	return all, errors.Join(errs...)
}

// Connections opens the file's connections of one kind with these names, or all
// of them, and returns them sorted by name. If one can't be opened, its error
// is in failed, by name.
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

// ConnectionNames returns the names of the file's connections of one kind,
// sorted.
func (f *File) ConnectionNames(kind string) []string {
	return slices.DeleteFunc(sortedNames(f.Document.Connections), func(name string) bool {
		return f.Document.Connections[name].Kind.Key() != kind
	})
}

// Written returns the keys of a connection that have text values, exactly as
// written in the file, with references unresolved.
func (f *File) Written(connection string) map[string]string {
	var document struct {
		Connections map[string]map[string]map[string]yaml.Node `yaml:"connections"`
	}
	written := map[string]string{}
	for _, source := range f.sources {
		clear(document.Connections)
		_ = yaml.Unmarshal(source.data, &document) // it was decoded before
		for _, keys := range document.Connections[connection] {
			for key, value := range keys {
				if value.Kind == yaml.ScalarNode {
					written[key] = value.Value
				}
			}
		}
	}
	return written
}
