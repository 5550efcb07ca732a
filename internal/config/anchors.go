package config

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/provider"
)

// Anchors opens the outside places that keep signed heads of the audit log.
func (f *File) Anchors(ctx context.Context, env Environment) ([]anchor.Destination, error) {
	a := f.Document.Server.Audit
	if a == nil {
		return nil, nil
	}
	w := newWiring(f, env)
	b := provider.NewBuild(ctx, w)
	var places []anchor.Destination
	for _, x := range a.Anchors {
		switch {
		case x.Kind.kind != nil:
			objects, err := w.archive(ctx, x)
			b.Fail(err)
			places = append(places, anchor.Archive{ObjectStore: objects})
		case x.Webhook != nil:
			places = append(places, anchor.Webhook{URL: b.Text(x.Webhook.URL), Token: b.Text(x.Webhook.Token)})
		default:
			places = append(places, anchor.File{Path: x.File.Text})
		}
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, p := range places {
		if seen[p.Name()] {
			return nil, a.Anchors[i].sameName(p.Name())
		}
		seen[p.Name()] = true
	}
	return places, nil
}

// sameName is the error of a second anchor by a name: the log and the metrics couldn't
// tell which of the two fails.
func (x *Anchor) sameName(name string) error {
	return rota.WithRemedies(fmt.Errorf("server.audit.anchors: two of them are called %s", name), rota.Configure("", "one of them, or another host for one"))
}

// name is the one that the anchor will have, "" if that depends on more than the file.
func (x *Anchor) name() string {
	switch {
	case x.File.IsSet():
		return anchor.File{Path: x.File.Text}.Name()
	case x.Webhook != nil:
		if text, literal := x.Webhook.URL.Literal(); literal {
			return anchor.Webhook{URL: text}.Name()
		}
	}
	return ""
}

func (w *wiring) archive(ctx context.Context, x *Anchor) (provider.Objects, error) {
	return x.Kind.config.(provider.ArchiveConfig).Archive(provider.NewBuild(ctx, w))
}

// archives returns the audit log's anchors that work over connections.
func (w *wiring) archives(ctx context.Context, over func(names []string) []string) ([]provider.Piece, error) {
	audit := w.file.Document.Server.Audit
	if audit == nil {
		return nil, nil
	}
	var all []provider.Piece
	for _, x := range audit.Anchors {
		if x.Kind.kind == nil {
			continue
		}
		connections := over((piece{Choice: &x.Kind}).connections())
		if len(connections) == 0 {
			continue
		}
		made, err := w.archive(ctx, x)
		if err != nil {
			return nil, err
		}
		all = append(all, provider.Piece{Connections: connections, Made: made})
	}
	return all, nil
}
