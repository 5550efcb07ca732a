package config

import (
	"strings"

	"github.com/rota-dev/rota/provider"
)

// claim is what one of a secret's kinds changes outside.
type claim struct {
	provider.Claim
	secret string
	target string // the target's name, "" for another role
	path   Path
}

// claims lists what a secret changes outside. text gives a text's value, and
// false where it is not known (yet).
func (d *Document) claims(s *Secret, text func(Text) (string, bool)) []claim {
	var claims []claim
	for _, p := range s.pieces() {
		claimer, ok := p.config.(provider.Claimer)
		if !ok {
			continue
		}
		at, target := s.path(), ""
		if p.kind.role == roleTarget {
			at, target = at.Key("targets").Item(p.name), p.name
		}
		for _, c := range claimer.Claims(provider.NewKnown(p.connection.Text, text, d.connectionConfig)) {
			if c.Shown == "" {
				c.Shown = c.Kind
			}
			claims = append(claims, claim{Claim: c, secret: s.Name.Text, target: target, path: at})
		}
	}
	return claims
}

func (d *Document) connectionConfig(name string) any {
	if c := d.Connections[name]; c != nil {
		return c.Kind.config
	}
	return nil
}

// claims are all claims so far, by every name that the claimed thing has.
type claims struct {
	document *Document
	text     func(Text) (string, bool)
	taken    map[string][]claim
}

// ids are the names that a thing has: within its account or server where that
// is known, and by the connection that it is reached through.
func (t *claims) ids(c claim) []string {
	id := func(how, where string) string { return strings.Join([]string{c.Kind, how, where, c.Name}, "\x00") }
	if c.Scope != "" {
		return []string{id("scope", c.Scope)}
	}
	ids := []string{id("connection", c.Connection)}
	if s, ok := t.document.connectionConfig(c.Connection).(provider.Scoper); ok {
		if scope := s.Scope(provider.NewKnown("", t.text, t.document.connectionConfig)); scope != "" {
			ids = append(ids, id("scope", scope))
		}
	}
	return ids
}

// take notes a claim. It gives the claim that it gets into the way of, and how;
// nil for none.
func (t *claims) take(c claim) (other *claim, how string) {
	ids := t.ids(c)
	for _, id := range ids {
		for _, o := range t.taken[id] {
			if how, clash := c.clash(o); clash {
				return &o, how
			}
		}
	}
	for _, id := range ids {
		t.taken[id] = append(t.taken[id], c)
	}
	return nil, ""
}

// clash tells whether two claims on one thing exclude each other, and how if
// that is not by itself clear.
func (c claim) clash(other claim) (how string, clash bool) {
	if c.Form == "" || other.Form == "" {
		return "", c.secret != other.secret
	}
	if c.Form != other.Form {
		return ", in another format", true
	}
	if len(c.Parts) == 0 || len(other.Parts) == 0 {
		return ", and not both name their fields", true
	}
	for _, part := range c.Parts {
		for _, theirs := range other.Parts {
			if part == theirs {
				return ", and both write " + part, true
			}
		}
	}
	return "", false
}

// collisions refuses two secrets that change the same thing.
func (v *validator) collisions() {
	all := claims{document: v.doc, text: Text.Literal, taken: map[string][]claim{}}
	for _, s := range v.doc.Secrets {
		for _, c := range v.doc.claims(s, Text.Literal) {
			other, how := all.take(c)
			switch {
			case other == nil:
			case c.Form != "":
				v.add(c.At, c.path, "try: another "+c.Kind+", or another part of it", "%s is that of secret %q on line %d%s", c.Shown, other.secret, other.At.Line, how)
			default:
				v.add(c.At, c.path, "try: one secret for both", "%s is that of secret %q on line %d", c.Shown, other.secret, other.At.Line)
			}
		}
	}
}
