package config

import (
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// references checks the ${secret:name#field} of all texts: they name a secret
// of the file and one of its fields, and no secret needs itself.
func (v *validator) references() {
	secrets := map[string]*Secret{}
	for _, s := range v.doc.Secrets {
		secrets[s.Name.Text] = s
	}
	for _, t := range textsOf(v.doc) {
		for _, ref := range t.References() {
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

// needs are, by secret, the secrets whose values must be known before it can be
// worked: those that its issuer, store, checks, targets and reloaders refer to,
// and those that their connections log in with.
//
// Its notifiers are left out. A failed notification stops nothing, and so
// neither does a notifier that waits for the first value of a secret: that
// secret is made without it. The password of the mail server that all
// notifications go through can itself be rotated.
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

// Waves puts secrets into an order: each is in a later wave than all that it
// needs the values of, directly or by way of secrets that are not among them.
// Within a wave the order is that of the names.
func (f *File) Waves(names []string) [][]string {
	graph := f.Document.needs()
	depth := map[string]int{}
	var of func(name string) int
	of = func(name string) int {
		if d, ok := depth[name]; ok {
			return d
		}
		depth[name] = 0 // a file with a cycle is refused; this ends all the same
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
