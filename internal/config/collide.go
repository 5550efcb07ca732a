package config

import (
	"strings"

	"github.com/rota-dev/rota/provider"
)

// claim is an outside resource that one of a secret's kinds changes.
type claim struct {
	provider.Claim
	secret string
	target string // the target's name, "" in any other role
	path   Path
}

// claims holds all claims so far, by every name of the claimed resource.
type claims struct {
	document *Document
	text     func(Text) (string, bool)   // a text's value, and whether it's known yet
	opened   func(connection string) any // returns nil while only the file is known
	taken    map[string][]claim
}

func (t *claims) known(connection string) *provider.Known {
	return provider.NewKnown(connection, t.text, t.document.connectionConfig).WithOpened(t.opened)
}

// of lists the outside resources a secret changes.
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

// ids returns the names of a resource: within its account or server if that's
// known, and by the connection that reaches it.
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

// thing identifies the claimed resource, regardless of account or server.
func (c claim) thing() string { return c.Kind + "\x00" + c.Name }

// within identifies the claimed resource within an account or server.
func (c claim) within(scope string) string {
	return strings.Join([]string{c.thing(), "scope", scope}, "\x00")
}

// take records a claim. If it conflicts with an earlier one, take returns that
// one and says how; otherwise other is nil.
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

// clash reports whether two claims on one resource exclude each other, and how,
// if that isn't obvious.
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

// collisions rejects two secrets that change the same resource.
func (v *validator) collisions() {
	all := claims{document: v.doc, text: Text.Literal, taken: map[string][]claim{}}
	for _, s := range v.doc.Secrets {
		for _, c := range all.of(s) {
			other, how := all.take(c)
			switch {
			case other == nil:
			case c.Form != "":
				v.add(c.At, c.path, "another "+c.Kind+", or another part of it", "%s is also used by secret %q %s%s", c.Shown, other.secret, v.place(other.At, c.At), how)
			default:
				v.add(c.At, c.path, "one secret for both", "%s is also used by secret %q %s", c.Shown, other.secret, v.place(other.At, c.At))
			}
		}
	}
}
