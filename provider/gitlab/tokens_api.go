package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

// roles are GitLab's numbers for roles.
var roles = map[string]api.AccessLevelValue{
	"guest": api.GuestPermissions, "reporter": api.ReporterPermissions, "developer": api.DeveloperPermissions,
	"maintainer": api.MaintainerPermissions, "owner": api.OwnerPermissions,
}

// ofAccess is a token from GitLab's form for access tokens.
func ofAccess(x *api.PersonalAccessToken) token {
	return token{id: x.ID, name: x.Name, value: x.Token, active: x.Active && !x.Revoked, created: at(x.CreatedAt), used: at(x.LastUsedAt), expires: at((*time.Time)(x.ExpiresAt))}
}

func ofTrigger(x *api.PipelineTrigger) token {
	return token{id: x.ID, name: x.Description, value: x.Token, active: true, created: at(x.CreatedAt), used: at(x.LastUsed)}
}

func at(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func (t *Tokens) create(ctx context.Context, expires api.ISOTime) (token, error) {
	var made token
	var resp *api.Response
	var err error
	role := roles[t.Role]
	switch t.Kind {
	case ProjectToken:
		var x *api.ProjectAccessToken
		if x, resp, err = t.Connection.api.ProjectAccessTokens.CreateProjectAccessToken(t.Owner, &api.CreateProjectAccessTokenOptions{Name: &t.TokenName, Scopes: &t.Scopes, AccessLevel: &role, ExpiresAt: &expires}, with(ctx)); err == nil {
			made = ofAccess(&x.PersonalAccessToken)
		}
	case GroupToken:
		var x *api.GroupAccessToken
		if x, resp, err = t.Connection.api.GroupAccessTokens.CreateGroupAccessToken(t.Owner, &api.CreateGroupAccessTokenOptions{Name: &t.TokenName, Scopes: &t.Scopes, AccessLevel: &role, ExpiresAt: &expires}, with(ctx)); err == nil {
			made = ofAccess(&x.PersonalAccessToken)
		}
	case PersonalToken:
		var x *api.PersonalAccessToken
		if x, resp, err = t.Connection.api.Users.CreatePersonalAccessToken(t.user(), &api.CreatePersonalAccessTokenOptions{Name: &t.TokenName, Scopes: &t.Scopes, ExpiresAt: &expires}, with(ctx)); err == nil {
			made = ofAccess(x)
		}
	case TriggerToken:
		var x *api.PipelineTrigger
		if x, resp, err = t.Connection.api.PipelineTriggers.AddPipelineTrigger(t.Owner, &api.AddPipelineTriggerOptions{Description: &t.TokenName}, with(ctx)); err == nil {
			made = ofTrigger(x)
		}
	}
	return made, refusedToken(t.Connection.fail("create "+t.what(), t.needs(), resp, err))
}

// user is the number of the user whose tokens they are.
func (t *Tokens) user() int64 {
	n, _ := strconv.ParseInt(t.Owner, 10, 64) // checked with the file
	return n
}

// list asks for the valid tokens whose names contain the issuer's. GitLab before 17.2
// doesn't know these words for projects' and groups' tokens, and lists all.
func (t *Tokens) list(ctx context.Context) ([]token, error) {
	active := "active"
	list, err := pages(func(page int64) ([]token, *api.Response, error) {
		options := api.ListOptions{Page: page, PerPage: perPage}
		switch t.Kind {
		case ProjectToken:
			xs, resp, err := t.searchProject(ctx, page)
			return each(xs, func(x *api.ProjectAccessToken) token { return ofAccess(&x.PersonalAccessToken) }), resp, err
		case GroupToken:
			xs, resp, err := t.Connection.api.GroupAccessTokens.ListGroupAccessTokens(t.Owner, &api.ListGroupAccessTokensOptions{ListOptions: options, State: new(api.AccessTokenState(active)), Search: &t.TokenName}, with(ctx))
			return each(xs, func(x *api.GroupAccessToken) token { return ofAccess(&x.PersonalAccessToken) }), resp, err
		case PersonalToken:
			user := t.user()
			xs, resp, err := t.Connection.api.PersonalAccessTokens.ListPersonalAccessTokens(&api.ListPersonalAccessTokensOptions{ListOptions: options, UserID: &user, State: &active, Search: &t.TokenName}, with(ctx))
			return each(xs, ofAccess), resp, err
		default:
			xs, resp, err := t.Connection.api.PipelineTriggers.ListPipelineTriggers(t.Owner, &api.ListPipelineTriggersOptions{ListOptions: options}, with(ctx))
			return each(xs, ofTrigger), resp, err
		}
	})
	if err != nil {
		return nil, t.Connection.fail("list each "+t.what(), t.needs(), nil, err)
	}
	return list, nil
}

// searchProject lists a page of a project's tokens. The client has no option for a
// search there.
func (t *Tokens) searchProject(ctx context.Context, page int64) ([]*api.ProjectAccessToken, *api.Response, error) {
	options := struct {
		api.ListOptions
		State  string `url:"state"`
		Search string `url:"search"`
	}{api.ListOptions{Page: page, PerPage: perPage}, "active", t.TokenName}
	r, err := t.Connection.api.NewRequest(http.MethodGet, "projects/"+api.PathEscape(t.Owner)+"/access_tokens", options, []api.RequestOptionFunc{with(ctx)})
	if err != nil {
		return nil, nil, err
	}
	var xs []*api.ProjectAccessToken
	resp, err := t.Connection.api.Do(r, &xs)
	return xs, resp, err
}

func each[X any](xs []X, f func(X) token) []token {
	var list []token
	for _, x := range xs {
		list = append(list, f(x))
	}
	return list
}

func (t *Tokens) get(ctx context.Context, id int64) (token, error) {
	var one token
	var resp *api.Response
	var err error
	switch t.Kind {
	case ProjectToken:
		var x *api.ProjectAccessToken
		if x, resp, err = t.Connection.api.ProjectAccessTokens.GetProjectAccessToken(t.Owner, id, with(ctx)); err == nil {
			one = ofAccess(&x.PersonalAccessToken)
		}
	case GroupToken:
		var x *api.GroupAccessToken
		if x, resp, err = t.Connection.api.GroupAccessTokens.GetGroupAccessToken(t.Owner, id, with(ctx)); err == nil {
			one = ofAccess(&x.PersonalAccessToken)
		}
	case PersonalToken:
		var x *api.PersonalAccessToken
		if x, resp, err = t.Connection.api.PersonalAccessTokens.GetSinglePersonalAccessTokenByID(id, with(ctx)); err == nil {
			one = ofAccess(x)
		}
	case TriggerToken:
		var x *api.PipelineTrigger
		if x, resp, err = t.Connection.api.PipelineTriggers.GetPipelineTrigger(t.Owner, id, with(ctx)); err == nil {
			one = ofTrigger(x)
		}
	}
	return one, t.Connection.fail(fmt.Sprintf("look at token %d, a %s", id, t.what()), t.needs(), resp, err)
}

func (t *Tokens) revoke(ctx context.Context, id int64) error {
	var resp *api.Response
	var err error
	switch t.Kind {
	case ProjectToken:
		resp, err = t.Connection.api.ProjectAccessTokens.RevokeProjectAccessToken(t.Owner, id, with(ctx))
	case GroupToken:
		resp, err = t.Connection.api.GroupAccessTokens.RevokeGroupAccessToken(t.Owner, id, with(ctx))
	case PersonalToken:
		resp, err = t.Connection.api.PersonalAccessTokens.RevokePersonalAccessTokenByID(id, with(ctx))
	case TriggerToken:
		resp, err = t.Connection.api.PipelineTriggers.DeletePipelineTrigger(t.Owner, id, with(ctx))
	}
	return t.Connection.fail(fmt.Sprintf("revoke token %d, a %s", id, t.what()), t.needs(), resp, err)
}
