package simulate

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// logsIn reports whether a credential is valid, ignoring propagation delays.
func (s *subject) logsIn(c rota.Credential) bool {
	for range 6 {
		if s.issuer.Login(c) {
			return true
		}
	}
	return false
}

// isUsed reports whether a consumer logs in with the credential.
func (s *subject) isUsed(id string) bool {
	for _, c := range s.consumers {
		if !c.credential.IsZero() && s.issuer.CredentialID(c.credential) == id && s.logsIn(c.credential) {
			return true
		}
	}
	return false
}

// inUse returns the credential that is in use, as a person would find out: the
// one most consumers log in with, or one that was made by hand.
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
	if s.kept != nil { // which shows it
		return s.kept.Now(), true
	}
	if s.keys != nil || s.temp != nil {
		return rota.Credential{}, false
	}
	made := s.newByHand() // no one knows a role's password, so a person sets a new one
	if s.only != nil {
		s.logsIn(made)
		s.spend(time.Minute) // until it shows everywhere
	}
	return made, true
}

// adopt is an adoption by a person, either of the store's current credential or
// of the one given. A person who says that it's in use has made sure that
// everyone has it.
func (s *subject) adopt(ctx context.Context, given rota.Credential) (rotation.Result, error) {
	s.did("adopt")
	s.truth.fails = 0 // what failed before is over
	s.excuse(s.idOf(rota.LabelPrevious))
	res, err, crashed := s.work(ctx, "adopt", rota.StepNone, func(r *rotation.Rotator) (rotation.Result, error) {
		return r.Adopt(ctx, s.secret, rotation.AdoptOptions{Credential: given})
	})
	if version, c, ok := s.store.Read(rota.LabelCurrent); ok && (c.Equal(given) || given.IsZero() && err == nil && !crashed) {
		s.handOut(version, c)
	}
	return res, orCrashed("adopt", err, crashed)
}

// loginState maps the consumers that can log in to their credentials.
type loginState map[*consumer]rota.Credential

// logins returns the consumers that a remedy must not lock out, with their
// credentials. If Rota acts, those are the ones using the current credential;
// if a person acts outside, any. If the issuer allows only one credential,
// Rota's own actions replace it, so there are none.
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

// letIn clears the record that a credential was taken away, for those who hold
// it.
func (s *subject) letIn(id string) {
	for _, c := range s.consumers {
		if s.issuer.CredentialID(c.credential) == id && s.logsIn(c.credential) {
			delete(s.truth.forcedOff, proof(c.credential))
		}
	}
}

// checkLogins checks rule 15: a remedy locks no one out.
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
