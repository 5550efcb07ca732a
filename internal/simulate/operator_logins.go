package simulate

import (
	"context"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// logsIn tells whether a credential lets in, however late that is known
// everywhere.
func (s *subject) logsIn(c rota.Credential) bool {
	for range 6 {
		if s.issuer.Login(c) {
			return true
		}
	}
	return false
}

// isUsed tells whether a consumer logs in with the credential.
func (s *subject) isUsed(id string) bool {
	for _, c := range s.consumers {
		if !c.credential.IsZero() && s.issuer.CredentialID(c.credential) == id && s.logsIn(c.credential) {
			return true
		}
	}
	return false
}

// inUse is the credential that is in use, as a person finds it out: what most
// consumers log in with, or what somebody made by hand.
func (s *subject) inUse() (rota.Credential, bool) {
	var best rota.Credential
	most := 0
	for _, c := range s.consumers {
		n := 0
		for _, other := range s.consumers {
			if other.credential.Equal(c.credential) {
				n++
			}
		}
		if n > most && !c.credential.IsZero() && s.logsIn(c.credential) {
			best, most = c.credential, n
		}
	}
	if most > 0 {
		return best, true
	}
	if made := s.people.made; !made.IsZero() && s.logsIn(made) {
		return made, true
	}
	if s.keys != nil || s.temp != nil {
		return rota.Credential{}, false
	}
	return s.newByHand(), true // nobody knows a role's password, so a person sets one
}

// adopt is a person's adoption: of the store's current credential, or of one that
// is handed in. Whoever calls it in use has seen to it that everybody has it.
func (s *subject) adopt(ctx context.Context, given rota.Credential) (rotation.Result, error) {
	s.did("adopt")
	s.excuse(s.idOf(rota.LabelPrevious))
	res, err, crashed := s.work(ctx, "adopt", rota.StepNone, func(r *rotation.Rotator) (rotation.Result, error) {
		return r.Adopt(ctx, s.secret, rotation.AdoptOptions{Credential: given})
	})
	if !given.IsZero() && s.truth.current != "" {
		if _, c, _ := s.store.Read(rota.LabelCurrent); c.Equal(given) {
			s.handOut(s.truth.current, c)
		}
	}
	return res, orCrashed("adopt", err, crashed)
}

// loginState is who can log in with what.
type loginState map[*consumer]rota.Credential

// logins are the consumers that a remedy must not lock out, with what they hold:
// those that use the current credential, or any, where it is not Rota that acts.
// Where the issuer allows one credential only, Rota's own actions replace it.
func (s *subject) logins(r rota.Remedy) loginState {
	current := s.idOf(rota.LabelCurrent)
	out := loginState{}
	for _, c := range s.consumers {
		id := s.issuer.CredentialID(c.credential)
		if c.credential.IsZero() || r.Action != rota.RemedyOutside && (!s.traits.Overlap() || id != current) {
			continue
		}
		if s.logsIn(c.credential) {
			out[c] = c.credential
		}
	}
	return out
}

// letIn takes back that a credential was taken from those who hold it.
func (s *subject) letIn(id string) {
	for _, c := range s.consumers {
		if s.issuer.CredentialID(c.credential) == id && s.logsIn(c.credential) {
			delete(s.truth.forcedOff, proof(c.credential))
		}
	}
}

// checkLogins is rule 15: a remedy locks nobody out.
func (s *subject) checkLogins(r rota.Remedy, before loginState) {
	if s.disturbedSince(s.operator.began) || s.traits.Lifetime > 0 {
		return
	}
	for _, c := range s.consumers {
		if was, could := before[c]; could && was.Equal(c.credential) && !s.logsIn(c.credential) {
			s.violate(15, "%s can log in with %s no more, since a person followed the remedy to %s", c.name, s.issuer.CredentialID(c.credential), r)
		}
	}
}
