package config

import (
	"path/filepath"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// WithOwn returns the catalog with more files and folders of Rota's own, such as
// its data folder, which no target of a file may write to.
func (c *Catalog) WithOwn(own ...provider.OwnPath) *Catalog {
	more := *c
	more.own = append(more.own[:len(more.own):len(more.own)], own...)
	return &more
}

// ownPaths are the files and folders that no target may write to: the
// catalog's, the file itself, and those that it reads.
func (f *File) ownPaths() []provider.OwnPath {
	var own []provider.OwnPath
	add := func(at Pos, path, what string) {
		if path == "" {
			return
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(f.folder(at), path)
		}
		if path, err := filepath.Abs(path); err == nil {
			own = append(own, provider.OwnPath{Path: path, What: what})
		}
	}
	for _, o := range f.catalog.own {
		if path, err := filepath.Abs(o.Path); err == nil {
			own = append(own, provider.OwnPath{Path: path, What: o.What})
		}
	}
	for _, path := range f.Files() {
		add(Pos{File: path}, filepath.Base(path), "the configuration itself")
	}
	for _, ref := range f.references {
		if ref.Kind == provider.RefFile {
			add(Pos{File: ref.file}, ref.Name, "the file of "+ref.String())
		}
	}
	if tls := f.Document.Server.TLS; tls != nil {
		for _, t := range []Text{tls.Cert, tls.Key, tls.ClientCA, tls.ClientCRL} {
			if path, plain := t.Literal(); plain {
				add(t.At, path, "a file of the server's certificate")
			}
		}
	}
	return own
}

// ownTargets refuses targets that would write to what Rota itself lives on. What
// the paths lead to is looked at before each write.
func (d *decoder) ownTargets(f *File) {
	own := f.ownPaths()
	for _, s := range f.Document.Secrets {
		for _, p := range s.pieces() {
			w, ok := p.config.(provider.FileWriter)
			if !ok {
				continue
			}
			path, plain := w.File().Literal()
			if !plain || !filepath.IsAbs(path) {
				continue
			}
			for _, o := range own {
				if o.Holds(filepath.Clean(path)) {
					d.suggest(w.File().At, s.path().Key("targets").Item(p.name), rota.Configure("", "a file of its own, such as /etc/app/credentials.env"),
						"%s is, or is in, %s, which no target may write to", path, o.What)
					break
				}
			}
		}
	}
}
