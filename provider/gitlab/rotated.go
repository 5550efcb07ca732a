package gitlab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// GitLab's rotate endpoint revokes a token and makes the next one of its family. Who
// calls it with a token that was revoked by a rotation before has the whole family
// revoked. So Rota never logs in there with the token that it rotates, but names it, and
// only one that GitLab has just shown as valid. If the answer is lost, the list shows
// the token whose value nobody knows, and that one is rotated in turn.

// byHand is how the first token of a family comes into being.
const byHand = "make a token of this name at GitLab by hand, with the scopes and the expiry that it needs, and give it to Rota: rota adopt NAME --from -"

// rotate replaces the token with that number.
func (t *Tokens) rotate(ctx context.Context, replaces string, expires api.ISOTime) (token, error) {
	op := "rotate " + t.what()
	if replaces == "" {
		return token{}, t.Connection.refuse(op, byHand, errors.New("there's none yet, and a rotation makes no first one"))
	}
	id, err := t.number("rotate", replaces)
	if err != nil {
		return token{}, err
	}
	now, err := t.get(ctx, id)
	switch {
	case err != nil:
		return token{}, err
	case !now.active:
		return token{}, t.Connection.refuse(op, byHand, fmt.Errorf("token %d is revoked or expired, and whoever uses it is locked out: nothing can be made from it", id))
	case now.name != t.TokenName:
		return token{}, t.Connection.refuse(op, "set name back to "+provider.Said(now.name), fmt.Errorf("token %d has another name", id))
	}
	own, err := t.ownToken(ctx)
	if err == nil && own == id {
		err = t.itself(op)
	}
	if err == nil {
		err = t.tooOld(ctx, op)
	}
	if err != nil {
		return token{}, err
	}
	made, err := t.callRotate(ctx, id, expires)
	if provider.StatusOf(err) == 400 {
		// The request may have arrived twice, and this be the second answer.
		if after, getErr := t.get(ctx, id); getErr == nil && !after.active {
			return token{}, &rota.Error{System: t.Connection.system(), Connection: t.Connection.name, Op: op, Class: rota.ClassWait, Err: fmt.Errorf("it was rotated, and the answer with the new value is lost: %w", err)}
		}
	}
	return made, refusedToken(err)
}

// ownToken is the number of the connection's own token, 0 if GitLab doesn't say.
func (t *Tokens) ownToken(ctx context.Context) (int64, error) {
	self, resp, err := t.Connection.api.PersonalAccessTokens.GetSinglePersonalAccessToken(with(ctx))
	err = t.Connection.fail("look at the connection's token", t.needs(), resp, err)
	switch status := provider.StatusOf(err); {
	case status == 404, status == 403:
		return 0, nil // a kind of token that GitLab shows nothing about
	case err != nil:
		return 0, err
	}
	return self.ID, nil
}

// itself is about a connection whose own token would be rotated.
func (t *Tokens) itself(op string) error {
	return t.Connection.refuse(op, "give connection "+t.Connection.name+" another token: this one is revoked by the rotation, and if the answer gets lost, Rota can't find the new one anymore",
		errors.New("it's the token that the connection itself logs in with"))
}

// tooOld refuses a GitLab that ignores how long a rotated token is to last: it ends
// after a week, and whoever counts on more is locked out.
func (t *Tokens) tooOld(ctx context.Context, op string) error {
	v, _, err := t.Connection.api.Version.GetVersion(with(ctx))
	if err != nil {
		return ctx.Err() // unknown
	}
	var major, minor int
	if n, _ := fmt.Sscanf(v.Version, "%d.%d", &major, &minor); n < 2 || major > 16 || major == 16 && minor >= 6 {
		return nil
	}
	return t.Connection.refuse(op, "update GitLab to 16.6 or later, or have Rota make tokens with overlap: gitlab_project_token, gitlab_group_token or gitlab_personal_token",
		fmt.Errorf("GitLab %d.%d lets a rotated token last a week only, whatever expires_after says", major, minor))
}

// preflightRotated looks for the one token.
func (t *Tokens) preflightRotated(ctx context.Context, list []token) rota.Finding {
	check := "rotate " + t.what()
	list = slices.DeleteFunc(list, func(x token) bool { return x.name != t.TokenName || !x.active })
	own, err := t.ownToken(ctx)
	switch {
	case err != nil:
	case slices.ContainsFunc(list, func(x token) bool { return x.id == own }):
		err = t.itself(check)
	case len(list) == 0:
		err = t.Connection.refuse(check, byHand, errors.New("there's no valid token of this name"))
	case len(list) > 1:
		err = t.Connection.refuse(check, "give the others another name, or revoke them if nobody uses them", fmt.Errorf("there are %d valid tokens of this name", len(list)))
	}
	if err == nil {
		err = t.tooOld(ctx, check)
	}
	return provider.Found(check, "", err)
}

func (t *Tokens) callRotate(ctx context.Context, id int64, expires api.ISOTime) (token, error) {
	var made token
	var resp *api.Response
	var err error
	switch t.Kind {
	case ProjectToken:
		var x *api.ProjectAccessToken
		if x, resp, err = t.Connection.api.ProjectAccessTokens.RotateProjectAccessToken(t.Owner, id, &api.RotateProjectAccessTokenOptions{ExpiresAt: &expires}, with(ctx)); err == nil {
			made = ofAccess(&x.PersonalAccessToken)
		}
	case GroupToken:
		var x *api.GroupAccessToken
		if x, resp, err = t.Connection.api.GroupAccessTokens.RotateGroupAccessToken(t.Owner, id, &api.RotateGroupAccessTokenOptions{ExpiresAt: &expires}, with(ctx)); err == nil {
			made = ofAccess(&x.PersonalAccessToken)
		}
	default:
		var x *api.PersonalAccessToken
		if x, resp, err = t.Connection.api.PersonalAccessTokens.RotatePersonalAccessTokenByID(id, &api.RotatePersonalAccessTokenOptions{ExpiresAt: &expires}, with(ctx)); err == nil {
			made = ofAccess(x)
		}
	}
	return made, t.Connection.fail(fmt.Sprintf("rotate token %d, a %s", id, t.what()), t.needs(), resp, err)
}
