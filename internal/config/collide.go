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

// claims are all claims so far, by every name that the claimed thing has.
type claims struct {
	document *Document
	text     func(Text) (string, bool)   // a text's value, and whether it's known (yet)
	opened   func(connection string) any // nil while only the file is known
	taken    map[string][]claim
}

func (t *claims) known(connection string) *provider.Known {
	return provider.NewKnown(connection, t.text, t.document.connectionConfig).WithOpened(t.opened)
}

// of lists what a secret changes outside.
func (t *claims) of(s *Secret) []claim {
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
		for _, c := range claimer.Claims(t.known(p.connection.Text)) {
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

// ids are the names that a thing has: within its account or server where that
// is known, and by the connection that it is reached through.
func (t *claims) ids(c claim) []string {
	if c.Scope != "" {
		return []string{c.within(c.Scope)}
	}
	ids := []string{strings.Join([]string{c.thing(), "connection", c.Connection}, "\x00")}
	if s, ok := t.document.connectionConfig(c.Connection).(provider.Scoper); ok {
		if scope := s.Scope(t.known("")); scope != "" {
			ids = append(ids, c.within(scope))
		}
	}
	return ids
}

// thing is what's claimed, in whichever account or server.
func (c claim) thing() string { return c.Kind + "\x00" + c.Name }

// within names the claimed thing within an account or server.
func (c claim) within(scope string) string {
	return strings.Join([]string{c.thing(), "scope", scope}, "\x00")
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
		for _, c := range all.of(s) {
			other, how := all.take(c)
			switch {
			case other == nil:
			case c.Form != "":
				v.add(c.At, c.path, "another "+c.Kind+", or another part of it", "%s is that of secret %q on line %d%s", c.Shown, other.secret, other.At.Line, how)
			default:
				v.add(c.At, c.path, "one secret for both", "%s is that of secret %q on line %d", c.Shown, other.secret, other.At.Line)
			}
		}
	}
}
