package config

import (
	"context"
	"io/fs"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/file"
)

func (w *wiring) fileTarget(ctx context.Context, t *Target) (rota.Target, error) {
	r := w.reader(ctx)
	cfg := file.Config{
		Name:    t.Name.Text,
		Path:    r.text(t.File.Path),
		Format:  t.File.Format.Text,
		Profile: t.File.Profile.Text,
		Fields:  r.fields(t.File.Fields),
		Mode:    fs.FileMode(t.File.Mode.Perm()),
		Owner:   t.File.Owner.Text,
		Group:   t.File.Group.Text,
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return file.New(cfg)
}
