package rotation

import (
	"context"

	"github.com/rota-dev/rota"
)

// acceptable returns why the first of the targets that can't take a credential
// can't, without calling anything outside.
func (s *Secret) acceptable(c rota.Credential) error {
	for _, target := range s.Targets {
		if a, ok := target.(rota.Accepter); ok {
			if err := a.Accept(c); err != nil {
				return naming("deliver to", target.Name(), rota.Sanitize(err, c))
			}
		}
	}
	return nil
}

// likeTheNext is a credential whose values are like those of the next one: one
// that's generated for this and used nowhere or, if the issuer chooses, the current
// one. It's zero if there's none to go by.
func (s *Secret) likeTheNext(ctx context.Context, current rota.Credential, taken []string) rota.Credential {
	if s.Issuer.Traits().IssuerChooses || s.Issuer.Traits().Manual {
		return current
	}
	request := rota.CreateRequest{Taken: taken}
	if s.Issuer.Traits().FromCurrent {
		request.Current = current
	}
	c, err := s.Issuer.Create(ctx, request)
	if err != nil {
		return rota.Credential{} // what's wrong, the step itself says
	}
	return c
}

// accepts reports whether any target may refuse a credential.
func (s *Secret) accepts() bool {
	for _, target := range s.Targets {
		if _, ok := target.(rota.Accepter); ok {
			return true
		}
	}
	return false
}

// unacceptable tries out on the targets, before a rotation begins, a credential
// like the one that it would make.
func (t *turn) unacceptable(ctx context.Context) []Unready {
	if !t.s.accepts() {
		return nil
	}
	var current rota.Credential
	if v, ok := t.seen.credential(rota.LabelCurrent); ok {
		current, _ = t.outside.get(ctx, v.ID)
	}
	like := t.s.likeTheNext(ctx, current, t.view().taken())
	if like.IsZero() {
		return nil
	}
	if err := t.s.acceptable(like); err != nil {
		return []Unready{{Reason: rota.OneLine(t.ledger.clean(err).Error()), Remedies: rota.RemediesOf(err)}}
	}
	return nil
}

// preflightAcceptable is the same for rota check.
func (s *Secret) preflightAcceptable(ctx context.Context, h held) []rota.Finding {
	if !s.accepts() {
		return nil
	}
	like := s.likeTheNext(ctx, h.current, h.ours)
	if like.IsZero() {
		return nil
	}
	f := rota.Finding{Check: "a new credential fits"}
	if err := s.acceptable(like); err != nil {
		f.Detail, f.Remedies = err.Error(), rota.RemediesOf(err)
		return []rota.Finding{f}
	}
	f.OK = true
	return []rota.Finding{f}
}
