package rotation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// preflightUnknown names the credentials that the issuer lists for the secret and the
// store doesn't hold. A request that arrived twice may have left one, where the system
// doesn't show which of the two the answer was about: Rota leaves both alone, and nobody
// has the other one's value. Somebody may also have made one by hand.
func (s *Secret) preflightUnknown(ctx context.Context, h held) []rota.Finding {
	traits := s.Issuer.Traits()
	lister, lists := s.Issuer.(rota.Lister)
	if !lists || !traits.IssuerChooses || h.err != nil || h.id == "" || h.pending {
		return nil
	}
	issued, err := lister.List(ctx)
	if err != nil || traits.Limit >= 1 && len(issued) >= traits.Limit {
		return nil // the issuer's own check reports the error, and preflightPlaces that it's full
	}
	unknown := slices.DeleteFunc(slices.Clone(issued), func(i rota.Issued) bool { return !h.isStranger(i) })
	if len(unknown) == 0 {
		return nil
	}
	var all []string
	for _, i := range unknown {
		text := s.described(ctx, i)
		if !i.CreatedAt.IsZero() {
			text = strings.TrimSuffix(text, ")") + ", made " + stamp(i.CreatedAt) + ")"
		}
		all = append(all, text)
	}
	return []rota.Finding{{
		Warning: true, Check: "no " + traits.Kind + " that the store doesn't hold",
		Detail:   fmt.Sprintf("the issuer lists %d that the store doesn't hold: %s. A request of Rota's that arrived twice may have made one that nobody has, or somebody made it by hand", len(all), strings.Join(all, ", ")),
		Remedies: rota.Outside("delete by hand what nobody uses"),
	}}
}
