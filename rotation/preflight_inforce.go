package rotation

import (
	"context"
	"slices"

	"github.com/rota-dev/rota"
)

// preflightInForce checks whether the current credential is in force, by the means
// of a look: the issuer's list or what else it can tell, or a login if the policy
// allows that. A new password that's on its way may have replaced it.
func (s *Secret) preflightInForce(ctx context.Context, h held) []rota.Finding {
	traits := s.Issuer.Traits()
	if h.err != nil || h.id == "" || !endsEarly(traits) || h.pending && !traits.Overlap() {
		return nil
	}
	f := rota.Finding{Check: "the current credential " + h.id + " is in force"}
	if c, locked := s.locked(ctx, h.id); locked {
		f.Detail, f.Remedies = "somebody locked "+c.ID+" at the issuer, and Rota doesn't unlock it", []rota.Remedy{unlock(c)}
		return []rota.Finding{f}
	}
	inForce, known, err := s.isInForce(ctx, h)
	switch err = rota.Sanitize(err, h.current); {
	case known && !inForce && traits.Readable && h.adopted:
		f.Warning, f.Detail, f.Remedies = true, "it was replaced outside Rota, and the next run delivers the one in force", []rota.Remedy{{Action: rota.RemedyRun, Secret: s.Name}}
	case known && !inForce:
		f.Detail, f.Remedies = "it was changed, deactivated or deleted outside Rota", h.notInForce(s)
	case err != nil:
		f.Detail, f.Remedies = err.Error(), rota.RemediesOf(err)
	case !known:
		f.OK, f.Detail = true, "not tried: the policy rules out a login"
	default:
		f.OK = true
	}
	return []rota.Finding{f}
}

// locked returns a credential's entry in the issuer's list if somebody locked its
// account. Errors are the issuer's own checks' to report.
func (s *Secret) locked(ctx context.Context, id string) (rota.Issued, bool) {
	lister, lists := s.Issuer.(rota.Lister)
	if !lists {
		return rota.Issued{}, false
	}
	issued, err := lister.List(ctx)
	if err == nil {
		issued, err = withLock(ctx, s.Issuer, issued, id)
	}
	c, there := findIssued(issued, id)
	return c, err == nil && there && c.Unlock != ""
}

func (s *Secret) isInForce(ctx context.Context, h held) (inForce, known bool, err error) {
	traits := s.Issuer.Traits()
	if lister, lists := s.Issuer.(rota.Lister); lists && traits.IssuerChooses {
		issued, err := lister.List(ctx)
		if err != nil {
			return false, false, err
		}
		i := slices.IndexFunc(issued, func(i rota.Issued) bool { return i.ID == h.id })
		if i >= 0 {
			return issued[i].Active, true, nil
		}
	}
	return s.Policy.DriftCheck.inForce(
		func() (inForce, known bool, err error) {
			if teller, ok := s.Issuer.(rota.Teller); ok {
				return teller.InForce(ctx, h.current)
			}
			return false, false, nil
		},
		func() error { return s.Issuer.Test(ctx, rota.TestRequest{Credential: h.current}) })
}

// notInForce returns the remedies.
func (h held) notInForce(s *Secret) []rota.Remedy {
	if !h.adopted {
		return []rota.Remedy{{Action: rota.RemedyAdoptGiven, Secret: s.Name, Text: "with the one in force"}}
	}
	return keepOrReplace(s.Name, s.Issuer.Traits())
}
