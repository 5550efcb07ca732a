package config

import (
	"context"

	"github.com/rota-dev/rota/internal/store/anchor"
)

// Anchors opens the places outside that keep the audit's signed heads.
func (f *File) Anchors(ctx context.Context, env Environment) ([]anchor.Place, error) {
	a := f.Document.Server.Audit
	if a == nil {
		return nil, nil
	}
	w := newWiring(f, env)
	r := w.reader(ctx)
	var places []anchor.Place
	for _, x := range a.Anchors {
		switch s := r.anchor(x); {
		case s.Bucket != "":
			c, err := w.awsConnection(ctx, s.Connection)
			if err != nil {
				return nil, err
			}
			places = append(places, anchor.S3{Client: c.S3(), Bucket: s.Bucket, Prefix: s.Prefix})
		case s.URL != "":
			places = append(places, anchor.Webhook{URL: s.URL, Token: s.Token})
		default:
			places = append(places, anchor.File{Path: s.File})
		}
	}
	return places, r.err()
}
