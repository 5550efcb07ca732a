package config

import (
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// references checks every ${secret:name#field}: it must name a secret in the
// file and one of its fields, and no secret can depend on itself.
func (v *validator) references() {
	secrets := map[string]*Secret{}
	for _, s := range v.doc.Secrets {
		secrets[s.Name.Text] = s
	}
	for _, t := range textsOf(v.doc) {
		for _, ref := range t.References() {
			if ref.Kind == provider.RefKubernetes && v.resources[t.At.File] == nil {
				v.add(t.At, t.Path, "${env:NAME} or ${file:/path}", "only a custom resource can refer to a Kubernetes Secret")
			}
			if ref.Kind != provider.RefSecret {
				continue
			}
			s, ok := secrets[ref.Name]
			if !ok {
				if !v.isBad(Path{"secrets"}.Item(ref.Name)) {
					v.suggest(t.At, t.Path, suggest(ref.Name, sortedNames(secrets)), "no secret %q in this file", ref.Name)
				}
				continue
			}
			facts, known := s.Issuer.facts()
			if known && !slices.Contains(facts.Fields.All, ref.Field) {
				v.suggest(t.At, t.Path, suggest(ref.Field, facts.Fields.All), "the credential of %q has no field %q", ref.Name, ref.Field)
			}
		}
	}
	graph := v.doc.needs()
	for _, s := range v.doc.Secrets {
		if way := cycle(s.Name.Text, graph); way != nil && s.Name.Text == slices.Min(way) {
			v.add(s.Name.At, s.path(), "another login for the connection", "needs itself: %s", strings.Join(append(way, s.Name.Text), " → "))
		}
	}
}

// needs maps each secret to the secrets whose values must be known before it
// can be rotated: those its issuer, store, checks, targets and reloaders refer
// to, and those their connections log in with.
//
// Notifiers don't count. A failed notification stops nothing, so a notifier
// that is still waiting for the first value of a secret doesn't either: that
// secret is created without it. This lets Rota rotate the password of the mail
// server that sends all notifications.
func (d *Document) needs() map[string][]string {
	graph := make(map[string][]string, len(d.Secrets))
	for _, s := range d.Secrets {
		var texts []Text
		for _, p := range s.pieces() {
			texts = append(texts, textsOf(p.config)...)
		}
		for _, name := range d.systems(s) {
			if c := d.Connections[name]; c != nil {
				texts = append(texts, textsOf(c.Kind.config)...)
			}
		}
		for _, t := range texts {
			for _, ref := range t.References() {
				if ref.Kind == provider.RefSecret {
					graph[s.Name.Text] = append(graph[s.Name.Text], ref.Name)
				}
			}
		}
	}
	return graph
}

// cycle returns a path from a secret back to itself, or nil.
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

// Waves orders secrets by dependency: each secret is in a later wave than every
// secret whose value it needs, directly or through secrets that aren't in
// names. Within a wave they're sorted by name.
func (f *File) Waves(names []string) [][]string {
	graph := f.Document.needs()
	depth := map[string]int{}
	var of func(name string) int
	of = func(name string) int {
		if d, ok := depth[name]; ok {
			return d
		}
		depth[name] = 0 // validation rejects cycles; this guards against infinite recursion anyway
		most := 0
		for _, next := range graph[name] {
			below := of(next)
			if slices.Contains(names, next) {
				below++
			}
			most = max(most, below)
		}
		depth[name] = most
		return most
	}
	var waves [][]string
	for _, name := range names {
		for len(waves) <= of(name) {
			waves = append(waves, nil)
		}
		waves[of(name)] = append(waves[of(name)], name)
	}
	return slices.DeleteFunc(waves, func(w []string) bool { return len(w) == 0 })
}
