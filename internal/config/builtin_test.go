package config

import (
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
)

// builtin is the catalog of the built-in providers.
var builtin = MustCatalog(providers.List()...)

// text returns the text at a key path in one of the file's connections,
// whatever its kind.
func (f *File) text(connection, key string) Text {
	for _, t := range textsOf(f.Document.Connections[connection].Kind.config) {
		if t.IsSet() && t.Path[len(t.Path)-1] == key {
			return t
		}
	}
	return provider.Text{}
}
