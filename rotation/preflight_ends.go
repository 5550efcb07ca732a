package rotation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// preflightExpiry says whether the current credential is rotated before it ends by
// itself, and warns if the policy's own date can't be met. Credentials that all expire
// are renewed in time.
func (s *Secret) preflightExpiry(ctx context.Context, h held) []rota.Finding {
	lister, lists := s.Issuer.(rota.Lister)
	if !lists || s.Issuer.Traits().Lifetime > 0 || h.err != nil || h.id == "" {
		return nil
	}
	issued, err := lister.List(ctx)
	i := slices.IndexFunc(issued, func(i rota.Issued) bool { return i.ID == h.id && i.Active && !i.ExpiresAt.IsZero() })
	if err != nil || i < 0 {
		return nil // the issuer's own check reports the error
	}
	end := issued[i].ExpiresAt
	f := rota.Finding{Check: h.id + " lasts until the next rotation", Detail: "it expires at " + stamp(end)}
	_, canDeactivate := s.Issuer.(rota.Deactivator)
	v := newView(State{
		Secret: s.Name, Traits: s.Issuer.Traits(), Lists: true, Listed: true, Issued: issued, CanDeactivate: canDeactivate,
		Contents: rota.Contents{Versions: []rota.Version{{ID: rota.VersionPrefix, Labels: []rota.Label{rota.LabelCurrent}, CreatedAt: h.since, CredentialID: h.id}}},
	}, s.Policy, h.since)
	next, ever := v.rotateAt()
	early, isEarly := v.early()
	switch {
	case isEarly && h.made:
		f.Warning = true
		f.Detail += ", so it's rotated at " + stamp(early.due) + ", and the policy's date is never reached" + v.missesWindow(early) + v.leavesNoRoom(early)
		f.Remedies = rota.Configure("rotate_every", "rotate_every: "+rota.FormatDuration(early.due.Sub(v.issuedAt()).Truncate(time.Hour))+", or have the issuer make ones that last longer")
	case isEarly:
		f.OK = true
		f.Detail += ", so it's rotated at " + stamp(early.due) + ", sooner than the policy says" + v.missesWindow(early)
	case ever && next.Before(end):
		f.OK = true
	case ever:
		f.Warning = true
		f.Detail += ", and the next rotation is at " + stamp(next)
		f.Remedies = rota.Outside("set a later end at the issuer, or none, if it isn't meant to end then")
	default:
		f.Warning = true
		f.Detail += ", and no rotation is scheduled"
		f.Remedies = []rota.Remedy{{Action: rota.RemedyRotate, Secret: s.Name, Text: "before then, and set rotate_every so that Rota does it in time"}}
		if issued[i].EndsWithAccount {
			f.Remedies = rota.Outside("set a later end at the issuer, or none, if it isn't meant to end then")
		}
	}
	return []rota.Finding{f}
}

// leavesNoRoom says, for people, that the previous credential can't be retired in time
// for an early rotation, even if its grace is cut short; "" if it can.
func (v *view) leavesNoRoom(e ending) string {
	if quiet := v.policy.UnusedFor; v.Traits.Overlap() && !v.issuedAt().Add(quiet).Before(e.last) {
		return fmt.Sprintf("; the previous one has to be unused for %s first, until after that", rota.FormatDuration(quiet))
	}
	return ""
}

// missesWindow says, for people, that an early rotation can't keep to the policy's
// windows; "" if it can.
func (v *view) missesWindow(e ending) string {
	if v.policy.open(e.due).Equal(e.due) {
		return ""
	}
	return fmt.Sprintf(", in no window: none opens between %s and %s", stamp(v.issuedAt()), stamp(e.last))
}
