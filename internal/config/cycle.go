package config

import (
	"slices"
	"strings"
)

// references checks the ${secret:name#field} of all texts: they name a secret
// of the file and one of its fields, and no secret needs itself.
func (v *validator) references() {
	secrets := map[string]*Secret{}
	for _, s := range v.doc.Secrets {
		secrets[s.Name.Text] = s
	}
	owners := map[string][]string{} // a part of the file → the secrets it names
	for _, t := range v.texts {
		for _, ref := range t.references() {
			if ref.kind != refSecret {
				continue
			}
			owners[owner(t.path)] = append(owners[owner(t.path)], ref.name)
			s, ok := secrets[ref.name]
			if !ok && !v.bad["secrets["+ref.name+"]"] {
				v.add(t.At, suggest(ref.name, sortedNames(secrets)), "%s: no secret %q in this file", t.path, ref.name)
			}
			if !ok || s.Issuer.kind().key == "" {
				continue
			}
			if fields := s.Issuer.kind().fields; !slices.Contains(fields, ref.field) {
				v.add(t.At, suggest(ref.field, fields), "%s: the credential of %q has no field %q", t.path, ref.name, ref.field)
			}
		}
	}
	graph := map[string][]string{}
	for name, s := range secrets {
		graph[name] = needs(s, owners)
	}
	for _, s := range v.doc.Secrets {
		if way := cycle(s.Name.Text, graph); way != nil && s.Name.Text == slices.Min(way) {
			v.add(s.Name.At, "try: another login for the connection", "secrets[%s]: needs itself: %s", s.Name.Text, strings.Join(append(way, s.Name.Text), " → "))
		}
	}
}

// needs are the secrets whose values must be known before a secret can be
// rotated. Its notifiers are left out: a failed notification stops nothing.
func needs(s *Secret, owners map[string][]string) []string {
	needed := append([]string{}, owners["secrets["+s.Name.Text+"]"]...)
	needed = append(needed, owners["connections."+s.Issuer.Connection.Text]...)
	if s.Store != nil {
		needed = append(needed, owners["connections."+s.Store.Connection.Text]...)
	}
	return needed
}

// owner is the part of the file that a text belongs to: "connections.x" or
// "secrets[x]". Neither name can hold a dot or a bracket that would mislead.
func owner(path string) string {
	if strings.HasPrefix(path, "secrets[") {
		return path[:strings.Index(path, "]")+1]
	}
	parts := strings.SplitN(path, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// cycle is a way from a secret back to itself, or nil.
func cycle(start string, needs map[string][]string) []string {
	seen := map[string]bool{}
	var walk func(name string) []string
	walk = func(name string) []string {
		for _, next := range needs[name] {
			if next == start {
				return []string{name}
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			if way := walk(next); way != nil {
				return append([]string{name}, way...)
			}
		}
		return nil
	}
	return walk(start)
}
