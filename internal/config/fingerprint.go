package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v4"
)

// Fingerprints returns a short text for each secret, by name, that changes
// whenever the file's settings for it change: its own, those of its
// connections, or the defaults. References count as written, not by value.
func (f *File) Fingerprints() (map[string]string, error) {
	type parts struct {
		Connections map[string]yaml.Node
		Defaults    yaml.Node
		Secrets     []yaml.Node
	}
	d := parts{Connections: map[string]yaml.Node{}}
	for _, source := range f.sources {
		var p parts
		if err := yaml.Unmarshal(source.data, &p); err != nil {
			return nil, fmt.Errorf("config %s: %w", source.path, err)
		}
		maps.Copy(d.Connections, p.Connections)
		if d.Secrets = append(d.Secrets, p.Secrets...); source.path == f.Path {
			d.Defaults = p.Defaults
		}
	}
	text := func(n yaml.Node) string {
		out, _ := yaml.Marshal(&n) // it was just parsed
		return string(out)
	}
	defaults := text(d.Defaults)
	connections := map[string]string{}
	for name, n := range d.Connections {
		connections[name] = text(n)
	}
	out := make(map[string]string, len(d.Secrets))
	for i, s := range f.Document.Secrets {
		h := sha256.New()
		fmt.Fprintf(h, "%q %q", defaults, text(d.Secrets[i]))
		for _, name := range f.uses(s) {
			fmt.Fprintf(h, " %q %q", name, connections[name])
		}
		if apart := f.policies[s.Name.Text].ApartFrom; len(apart) > 0 {
			fmt.Fprintf(h, " apart %v", apart) // another secret's entry can have named this one
		}
		out[s.Name.Text] = hex.EncodeToString(h.Sum(nil)[:12])
	}
	return out, nil
}

// uses returns the connections a secret uses, sorted. This includes its
// notifiers, and the connections that other connections log in with.
func (f *File) uses(s *Secret) []string {
	used := f.Document.systems(s)
	for _, x := range f.Document.notices(s) {
		used = append(used, x.Parts.Connection.Text)
	}
	return f.Document.with(used)
}
