package config

import (
	"fmt"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// facts returns what is known about the secret's issuer before it is wired, or
// false if the file doesn't configure one.
func (i *Issuer) facts() (provider.IssuerFacts, bool) {
	cfg, ok := i.Kind.config.(provider.IssuerConfig)
	if !ok {
		return provider.IssuerFacts{}, false
	}
	return provider.IssuerFacts{Connection: i.Kind.kind.connection, Traits: cfg.Traits(), Fields: cfg.Fields()}, true
}

// piece is one of a secret's kinds, with its context.
type piece struct {
	*Choice
	name       string // of a target or a reloader; generated for a check
	connection Plain  // the connection next to it, or next to its secret's issuer
}

// pieces returns all of a secret's kinds except its notifiers: the issuer, the
// store, the checks, the targets and the reloaders.
func (s *Secret) pieces() []piece {
	var all []piece
	add := func(c *Choice, name string, connection Plain) {
		if c.kind != nil {
			all = append(all, piece{Choice: c, name: name, connection: connection})
		}
	}
	add(&s.Issuer.Kind, "", s.Issuer.Connection)
	if s.Store != nil {
		add(&s.Store.Kind, "", s.Store.Connection)
	}
	for i, c := range s.Test {
		if c != nil {
			add(&c.Kind, checkName(c, i), s.Issuer.Connection)
		}
	}
	for _, t := range s.Target {
		if t != nil {
			add(&t.Kind, t.Name.Text, Plain{})
		}
	}
	for _, r := range s.Reload {
		if r != nil {
			add(&r.Kind, r.Name.Text, Plain{})
		}
	}
	return all
}

func checkName(c *Check, i int) string { return fmt.Sprintf("%s %d", c.Kind.Key(), i+1) }

// connections returns the connections a piece logs in with.
func (p piece) connections() []string {
	var names []string
	if p.kind.connection != "" && p.connection.Text != "" {
		names = append(names, p.connection.Text)
	}
	for _, c := range connectionsOf(p.config) {
		names = append(names, c.Text)
	}
	return names
}

// with adds the connections that these connections themselves log in with, and
// sorts the result.
func (d *Document) with(names []string) []string {
	for i := 0; i < len(names); i++ { // names grows as the loop runs
		c := d.Connections[names[i]]
		if c == nil {
			continue
		}
		for _, next := range connectionsOf(c.Kind.config) {
			if !slices.Contains(names, next.Text) {
				names = append(names, next.Text)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// systems returns the connections that a secret's steps call. It leaves out
// notifiers, because they never delay a step.
func (d *Document) systems(s *Secret) []string {
	var names []string
	for _, p := range s.pieces() {
		names = append(names, p.connections()...)
	}
	return d.with(names)
}
