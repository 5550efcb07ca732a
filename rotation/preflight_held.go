package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"slices"
	"strings"
	"time"
)

// held is what the store holds, as far as the checks need it.
type held struct {
	current rota.Credential // zero if there is none
	id      string          // the issuer's name for the current one
	since   time.Time       // when the current one's version was made
	made    bool            // Rota made the current one, rather than adopting it
	ours    []string        // the names of the ones that Rota made or adopted
	adopted bool            // Rota made or adopted the current one
	pending bool            // there's a new one on its way
	before  string          // the issuer's name for the previous one
	err     error           // why the store couldn't be read
}

func readHeld(ctx context.Context, s *Secret) held {
	contents, err := s.Store.Describe(ctx)
	if err != nil {
		return held{err: err}
	}
	var h held
	for _, v := range contents.Versions {
		c, err := s.Store.Get(ctx, rota.GetRequest{Version: v.ID})
		if errors.Is(err, rota.ErrNotFound) {
			continue // a version without a value has no credential yet
		}
		if err != nil {
			return held{err: err}
		}
		id := s.Issuer.CredentialID(c)
		if id != "" && v.Has(rota.LabelCurrent) {
			h.current, h.id, h.since, h.adopted = c, id, v.CreatedAt, v.Ours()
			h.made = h.adopted && !v.Has(rota.LabelAdopted)
		}
		h.pending = h.pending || v.Has(rota.LabelPending)
		if v.Has(rota.LabelPrevious) {
			h.before = id
		}
		if v.Ours() {
			h.ours = append(h.ours, id)
		}
	}
	return h
}

// preflightTest runs a user's own test with the current credential. If there is
// none, it only runs the test's own preflight checks.
func (h held) preflightTest(ctx context.Context, c rota.Check) []rota.Finding {
	f := rota.Finding{Check: "with the current credential"}
	switch {
	case h.err != nil:
		f.Warning, f.Detail, f.Remedies = true, "not tried: the store could not be read", rota.Outside("fix what the check of the store reports")
		return []rota.Finding{f}
	case h.current.IsZero():
		var findings []rota.Finding
		if p, ok := c.(rota.Preflighter); ok {
			findings = p.Preflight(ctx)
		}
		f.OK, f.Detail = true, "not tried: the store holds none yet"
		return append(findings, f)
	}
	f.Check += " " + h.id
	if err := rota.Sanitize(c.Check(ctx, h.current), h.current); err != nil {
		f.Detail, f.Remedies = err.Error(), rota.RemediesOf(err)
		if e, ok := errors.AsType[*rota.Error](err); ok {
			f.Detail = fmt.Sprint(e.Err)
		}
		if len(f.Remedies) == 0 {
			f.Remedies = rota.Outside("correct the test, or let the credential do what it asks: a new one that fails it is given up")
		}
		return []rota.Finding{f}
	}
	f.OK = true
	return []rota.Finding{f}
}

// preflightPlaces checks whether credentials that Rota must not delete take all
// of the issuer's places, so that no rotation could ever succeed.
func (s *Secret) preflightPlaces(ctx context.Context, h held) []rota.Finding {
	traits := s.Issuer.Traits()
	lister, lists := s.Issuer.(rota.Lister)
	if !lists || !traits.IssuerChooses || traits.Limit < 2 || h.err != nil {
		return nil
	}
	issued, err := lister.List(ctx)
	if err != nil || len(issued) < traits.Limit {
		return nil // the issuer's own check reports the error
	}
	f := rota.Finding{Check: "a place for the next " + traits.Kind}
	var foreign []string
	known := 0
	for _, i := range issued {
		if slices.Contains(h.ours, i.ID) {
			known++
			continue
		}
		foreign = append(foreign, s.described(ctx, i))
	}
	if len(foreign) == 0 {
		f.OK, f.Detail = true, fmt.Sprintf("all %d are taken until the previous one is deleted, as the policy says", traits.Limit)
		return []rota.Finding{f}
	}
	f.Detail = fmt.Sprintf("all %d are taken, and Rota neither made nor adopted %s", traits.Limit, strings.Join(foreign, ", "))
	const unused = "delete by hand the one that nobody uses"
	switch inStore := slices.ContainsFunc(issued, func(i rota.Issued) bool { return i.ID == h.id }); {
	case inStore && !slices.ContainsFunc(issued, h.isStranger): // as whoever rotated it before leaves it: nothing is wrong
		f.Warning, f.Detail = true, fmt.Sprintf("all %d are taken, by what the store holds and Rota hasn't adopted yet: %s", traits.Limit, strings.Join(foreign, ", "))
		f.Remedies = []rota.Remedy{{Action: rota.RemedyAdopt, Secret: s.Name, Text: "for what the store holds"}}
	case known > 0 && len(foreign) == 1 && slices.Contains(h.ours, h.id):
		f.Remedies = rota.Outside("delete it by hand when nobody uses it")
	case inStore && !slices.Contains(h.ours, h.id):
		f.Remedies = rota.AllOf([]rota.Remedy{{Action: rota.RemedyAdopt, Secret: s.Name, Text: "for " + h.id + ", which the store holds"}}, rota.Outside(unused))
	default:
		f.Remedies = rota.AllOf([]rota.Remedy{{Action: rota.RemedyAdoptGiven, Secret: s.Name, Text: "for the one in use"}}, rota.Outside(unused))
	}
	return []rota.Finding{f}
}

// isStranger reports whether a credential is neither Rota's nor in service.
func (h held) isStranger(i rota.Issued) bool {
	return i.ID != h.id && i.ID != h.before && !slices.Contains(h.ours, i.ID)
}

// described describes a credential and what's known about its use.
func (s *Secret) described(ctx context.Context, i rota.Issued) string {
	state := "inactive"
	if i.Active {
		state = "active"
	}
	use := "use not known"
	if reporter, ok := s.Issuer.(rota.UseReporter); ok {
		u, err := reporter.LastUsed(ctx, i.ID)
		switch {
		case err != nil || u.Evidence == rota.EvidenceUnknown:
		case u.At.IsZero():
			use = "no use seen"
		default:
			use = "last used " + stamp(u.At) + by(u)
		}
	}
	return fmt.Sprintf("%s (%s, %s)", i.ID, state, use)
}
