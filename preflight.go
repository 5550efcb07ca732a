package rota

import (
	"context"
	"fmt"
)

// Preflight runs every check that the secret's systems offer. It changes
// nothing.
func Preflight(ctx context.Context, s *Secret) []Finding {
	var out []Finding
	add := func(what string, system any) {
		p, ok := system.(Preflighter)
		if !ok {
			return
		}
		for _, f := range p.Preflight(ctx) {
			f.Check = what + ": " + f.Check
			out = append(out, f)
		}
	}
	add("issuer", s.Issuer)
	add("store", s.Store)
	for _, c := range s.Checks {
		add("test "+c.Name(), c)
	}
	for _, t := range s.Targets {
		add("target "+t.Name(), t)
	}
	for _, r := range s.Reloaders {
		add("reload "+r.Name(), r)
	}
	for _, n := range s.Notifiers {
		add("notify "+n.Name(), n)
	}
	if err := s.Policy.Validate(s.Issuer.Traits()); err != nil {
		out = append(out, Finding{Check: "policy", Detail: err.Error()})
	}
	if !s.Issuer.Traits().Overlap() {
		out = append(out, Finding{
			OK: false, Warning: true, Check: "overlap",
			Detail: fmt.Sprintf("a %s has no overlap: from set until consumers have taken up the new one, new logins with the old one fail", s.Issuer.Traits().Kind),
			Hint:   "alternate between two users, so that the other one stays valid",
		})
	}
	return out
}
