package rotation

import (
	"context"
	"fmt"
	"github.com/rota-dev/rota"
)

// Preflight runs every check that the secret's systems offer, and the user's own
// tests with the current credential if the store holds one. It changes nothing.
// Every finding that isn't OK has a remedy.
func Preflight(ctx context.Context, s *Secret) []rota.Finding {
	var out []rota.Finding
	add := func(what string, findings ...rota.Finding) {
		for _, f := range findings {
			f.Check = what + ": " + f.Check
			out = append(out, f)
		}
	}
	look := func(what string, system any) {
		if p, ok := system.(rota.Preflighter); ok {
			add(what, p.Preflight(ctx)...)
		}
	}
	look("issuer", s.Issuer)
	h := readHeld(ctx, s)
	add("issuer", s.preflightPlaces(ctx, h)...)
	add("issuer", s.preflightUnknown(ctx, h)...)
	add("issuer", s.preflightExpiry(ctx, h)...)
	add("issuer", s.preflightInForce(ctx, h)...)
	if s.Rivals != nil {
		add("claims", preflightRivals(s.Rivals(ctx))...)
	}
	look("store", s.Store)
	for _, c := range s.Checks {
		add("test "+c.Name(), h.preflightTest(ctx, c)...)
	}
	for _, t := range s.Targets {
		look("target "+t.Name(), t)
	}
	add("targets", s.preflightAcceptable(ctx, h)...)
	for _, r := range s.Reloaders {
		look("reload "+r.Name(), r)
	}
	for _, n := range s.Notifiers {
		look("notify "+n.Name(), n)
	}
	if err := s.Policy.Validate(s.Issuer.Traits()); err != nil {
		out = append(out, rota.Finding{Check: "policy", Detail: err.Error(), Remedies: rota.RemediesOf(err)})
	}
	if traits := s.Issuer.Traits(); !traits.Overlap() && !traits.Manual {
		from, instead := rota.StepSet, "alternate between two users, so that the other one stays valid"
		if isOneWay(traits) {
			from, instead = rota.StepCreate, "use a kind of credential of which there may be two, so that the other one stays valid"
		}
		out = append(out, rota.Finding{
			OK: false, Warning: true, Check: "overlap",
			Detail:   fmt.Sprintf("a %s has no overlap: from %s until consumers have taken up the new one, new logins with the old one fail", traits.Kind, from),
			Remedies: rota.Outside(instead),
		})
	}
	for i := range out {
		if !out[i].OK && len(out[i].Remedies) == 0 {
			out[i].Remedies = rota.Outside("check again in a few minutes; if it still fails, look at that system's own log")
		}
	}
	return out
}
