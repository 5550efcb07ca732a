package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Fingerprints are short texts, by secret's name, that change when what the
// file says of a secret does: of itself, of the connections that it uses, or of
// the defaults. References count as they are written, not with their values.
func (f *File) Fingerprints() (map[string]string, error) {
	var d struct {
		Connections map[string]yaml.Node
		Defaults    yaml.Node
		Secrets     []yaml.Node
	}
	if err := yaml.Unmarshal(f.data, &d); err != nil {
		return nil, fmt.Errorf("config %s: %w", f.Path, err)
	}
	text := func(n yaml.Node) string {
		out, _ := yaml.Marshal(&n) // it was just read
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
			fmt.Fprintf(h, " apart %v", apart) // another's entry may have named this one
		}
		out[s.Name.Text] = hex.EncodeToString(h.Sum(nil)[:12])
	}
	return out, nil
}

// uses are the connections of a secret, its notifiers' and those that they log
// in with included, sorted.
func (f *File) uses(s *Secret) []string {
	used := f.Document.systems(s)
	for _, x := range f.Document.notices(s) {
		used = append(used, x.Parts.Connection.Text)
	}
	return f.Document.with(used)
}
