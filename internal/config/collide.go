package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// claim is an outside resource that one of a secret's kinds changes.
type claim struct {
	provider.Claim
	secret string
	target string // the target's name, "" in any other role
	path   Path
	order  order
}

// order says which of two claims of different owners counts: the lesser one. Whoever
// made one of them may have done so to get in the way of the other.
type order struct {
	owner string // the namespace of a RotatingSecret, "" for a secret of rota.yaml
	own   bool   // over the namespace's own Connection, whose server may say anything
	found bool   // by references, whose values change without a look at the file
	index int    // in the document: rota.yaml's first, then what was accepted earlier
}

// yields reports whether the claim counts for nothing against another one.
func (o order) yields(other order) bool {
	if o.owner == other.owner {
		return false
	}
	return o.compare(other) > 0
}

func (o order) compare(other order) int {
	number := map[bool]int{true: 1}
	return cmp.Or(
		cmp.Compare(number[o.owner != ""], number[other.owner != ""]),
		cmp.Compare(number[o.own], number[other.own]),
		cmp.Compare(number[o.found], number[other.found]),
		cmp.Compare(o.index, other.index))
}

// claims holds all claims so far, by every name of the claimed resource.
type claims struct {
	document  *Document
	resources map[string]*Resource
	text      func(Text) (string, bool)   // a text's value, and whether it's known yet
	opened    func(connection string) any // returns nil while only the file is known
	taken     map[string][]claim
}

// order is that of a secret's claim over a connection.
func (t *claims) order(s *Secret, index int, connection string) order {
	o := order{index: index}
	if r := t.resources[s.Name.At.File]; r != nil {
		o.owner = r.Namespace
	}
	if c := t.document.Connections[connection]; c != nil {
		r := t.resources[c.At.File]
		o.own = r != nil && r.Kind == NamespacedLogin
	}
	return o
}

// inOrder lists the claims of all secrets, those first that others yield to.
func (t *claims) inOrder() []claim {
	plain := claims{document: t.document, text: Text.Literal, opened: nil}
	var all []claim
	for i, s := range t.document.Secrets {
		var evident []string // what the file itself says
		for _, c := range plain.of(s) {
			evident = append(evident, plain.ids(c)...)
		}
		for _, c := range t.of(s) {
			c.order = t.order(s, i, c.Connection)
			c.order.found = c.order.owner != "" && slices.ContainsFunc(t.ids(c), func(id string) bool { return !slices.Contains(evident, id) })
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b claim) int { return a.order.compare(b.order) })
	return all
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
	for _, c := range v.claims(&all) {
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

// claims lists the claims in the document's order, except that those come first that
// the resources in force have already.
func (v *validator) claims(all *claims) []claim {
	var kept, rest []claim
	for _, s := range v.doc.Secrets {
		for _, c := range all.of(s) {
			if r := v.resources[s.Name.At.File]; r == nil || slices.ContainsFunc(all.ids(c), func(id string) bool { return v.incumbents[id] == c.secret }) {
				kept = append(kept, c)
			} else {
				rest = append(rest, c)
			}
		}
	}
	return append(kept, rest...)
}

// claimed are the secrets of the file, by the ids of what they change.
func (f *File) claimed() map[string]string {
	all := claims{document: &f.Document, text: Text.Literal, taken: map[string][]claim{}}
	by := map[string]string{}
	for _, s := range f.Document.Secrets {
		for _, c := range all.of(s) {
			for _, id := range all.ids(c) {
				if _, known := by[id]; !known {
					by[id] = s.Name.Text
				}
			}
		}
	}
	return by
}
