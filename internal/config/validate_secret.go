package config

import (
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

func (v *validator) secret(s *Secret) {
	path := s.path()
	v.notify(s.Notify, path.Key("notify"))
	facts, ok := s.Issuer.facts()
	if !ok {
		return
	}
	at := path.Key("issuer")
	switch needed, given := facts.Connection, s.Issuer.Connection; {
	case needed != "" && !given.IsSet():
		v.suggest(s.Issuer.At, at, v.suggestConnection("", []string{needed}), "connection is missing")
	case needed == "" && given.IsSet():
		v.add(given.At, at.Key("connection"), "", "%s needs none", s.Issuer.Kind.Key())
	case needed != "":
		v.reference(given, at.Key("connection"), needed)
	}
	v.choice(&s.Issuer.Kind, facts, s.Issuer.Connection.Text)
	if facts.Traits.Manual {
		v.manual(s)
		v.policy(s, facts.Traits)
		return
	}
	if st := s.Store; st != nil {
		if st.Kind.kind != nil {
			v.reference(st.Connection, path.Key("store").Key("connection"), st.Kind.kind.connection)
		}
		v.choice(&st.Kind, facts, st.Connection.Text)
	}
	for _, c := range s.Test {
		if c != nil {
			v.check(&c.Kind, facts, s.Issuer.Connection.Text)
		}
	}
	lines := map[string]Pos{}
	for _, t := range s.Target {
		if t == nil || t.Name.Text == "" || t.Kind.kind == nil {
			continue
		}
		v.once(lines, t.Name, path.Key("targets"))
		v.choice(&t.Kind, facts, "")
	}
	clear(lines)
	for _, r := range s.Reload {
		if r == nil || r.Name.Text == "" || r.Kind.kind == nil {
			continue
		}
		v.once(lines, r.Name, path.Key("reload"))
		v.choice(&r.Kind, facts, "")
	}
	v.policy(s, facts.Traits)
}

// manual rejects settings that only work for automatic rotation.
func (v *validator) manual(s *Secret) {
	for _, part := range []struct {
		given bool
		name  string
	}{{s.Store != nil, "store"}, {len(s.Test) > 0, "test"}, {len(s.Target) > 0, "targets"}, {len(s.Reload) > 0, "reload"}} {
		if part.given {
			v.add(s.Issuer.Kind.at, s.path().Key(part.name), "leave it out", "Rota does not know the credential that a person rotates")
		}
	}
}

// check rejects a check that tests a different kind of credential than the
// issuer's.
func (v *validator) check(c *Choice, issuer provider.IssuerFacts, connection string) {
	if c.kind == nil {
		return
	}
	if c.kind.connection != issuer.Connection {
		var fitting []string
		for _, k := range v.catalog.kinds[roleCheck] {
			if k.connection == issuer.Connection {
				fitting = append(fitting, k.Key)
			}
		}
		hint := ""
		if len(fitting) > 0 {
			hint = strings.Join(fitting, ", ")
		}
		at := c.at
		v.add(at, c.path, hint, "needs %s, and the issuer makes %s", c.kind.needs, article(issuer.Traits.Kind))
		return
	}
	v.choice(c, issuer, connection)
}

// article puts "a" or "an" before a noun.
func article(noun string) string {
	if noun != "" && slices.Contains([]byte("AEIOUaeiou"), noun[0]) {
		return "an " + noun
	}
	return "a " + noun
}

// once records where a name first appears, and rejects duplicates.
func (v *validator) once(lines map[string]Pos, name Plain, path Path) {
	if first, twice := lines[name.Text]; twice {
		v.add(name.At, path, "", "the name %q is already %s", name.Text, v.place(first, name.At))
	}
	lines[name.Text] = name.At
}
