package config

import (
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
)

// builtin is the catalog of Rota's own providers.
var builtin = MustCatalog(providers.List()...)

// text is a text at a path of keys in a connection of the file, whatever the
// kind.
func (f *File) text(connection, key string) Text {
	for _, t := range textsOf(f.Document.Connections[connection].Kind.config) {
		if t.IsSet() && t.Path[len(t.Path)-1] == key {
			return t
		}
	}
	return provider.Text{}
}
