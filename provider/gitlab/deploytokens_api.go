package gitlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

func (d *DeployTokens) create(ctx context.Context, name string, expires time.Time) (*api.DeployToken, error) {
	var username *string
	if d.Username != "" {
		username = &d.Username
	}
	var made *api.DeployToken
	var resp *api.Response
	var err error
	if d.Level == LevelGroup {
		made, resp, err = d.Connection.api.DeployTokens.CreateGroupDeployToken(d.Owner, &api.CreateGroupDeployTokenOptions{Name: &name, Username: username, Scopes: &d.Scopes, ExpiresAt: &expires}, with(ctx))
	} else {
		made, resp, err = d.Connection.api.DeployTokens.CreateProjectDeployToken(d.Owner, &api.CreateProjectDeployTokenOptions{Name: &name, Username: username, Scopes: &d.Scopes, ExpiresAt: &expires}, with(ctx))
	}
	return made, refusedToken(d.Connection.fail("create "+d.what(), d.needs(), resp, err))
}

// list asks for the valid ones only. The client has no option for that.
func (d *DeployTokens) list(ctx context.Context) ([]*api.DeployToken, error) {
	list, err := pages(func(page int64) ([]*api.DeployToken, *api.Response, error) {
		options := struct {
			api.ListOptions
			Active bool `url:"active"`
		}{api.ListOptions{Page: page, PerPage: perPage}, true}
		r, err := d.Connection.api.NewRequest(http.MethodGet, string(d.Level)+"s/"+api.PathEscape(d.Owner)+"/deploy_tokens", options, []api.RequestOptionFunc{with(ctx)})
		if err != nil {
			return nil, nil, err
		}
		var xs []*api.DeployToken
		resp, err := d.Connection.api.Do(r, &xs)
		return xs, resp, err
	})
	if err != nil {
		return nil, d.Connection.fail("list each "+d.what(), d.needs(), nil, err)
	}
	return list, nil
}

func (d *DeployTokens) get(ctx context.Context, id int64) (one *api.DeployToken, err error) {
	var resp *api.Response
	if d.Level == LevelGroup {
		one, resp, err = d.Connection.api.DeployTokens.GetGroupDeployToken(d.Owner, id, with(ctx))
	} else {
		one, resp, err = d.Connection.api.DeployTokens.GetProjectDeployToken(d.Owner, id, with(ctx))
	}
	return one, d.Connection.fail(fmt.Sprintf("look at token %d, a %s", id, d.what()), d.needs(), resp, err)
}

func (d *DeployTokens) remove(ctx context.Context, id int64) error {
	var resp *api.Response
	var err error
	if d.Level == LevelGroup {
		resp, err = d.Connection.api.DeployTokens.DeleteGroupDeployToken(d.Owner, id, with(ctx))
	} else {
		resp, err = d.Connection.api.DeployTokens.DeleteProjectDeployToken(d.Owner, id, with(ctx))
	}
	return d.Connection.fail(fmt.Sprintf("delete token %d, a %s", id, d.what()), d.needs(), resp, err)
}

// errNoLogin is about a deploy token that GitLab doesn't take.
var errNoLogin = fmt.Errorf("GitLab doesn't know it, or it's expired or revoked: %w", rota.ErrRefused)

// logInToRegistry asks for what a container registry asks GitLab for. It's answered
// 401 only if the login is wrong. What comes after a good one depends on the scopes
// and on whether the instance has a registry: must says that the scopes are enough.
func (c *Connection) logInToRegistry(ctx context.Context, op, username, value string, must bool) error {
	status, body, err := c.basic(ctx, op, "/jwt/auth?service=container_registry", username, value)
	if err != nil {
		return err
	}
	var answer struct {
		Token  string
		Errors []struct{ Code string }
	}
	code := ""
	if json.Unmarshal(body, &answer) == nil && len(answer.Errors) > 0 {
		code = answer.Errors[0].Code // a server in front, or a ban of the address, has none
	}
	switch {
	case status == http.StatusUnauthorized && code != "":
		return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: errNoLogin}
	case status == http.StatusOK && answer.Token != "":
		return nil
	case status == http.StatusNotFound && code == "UNAVAILABLE":
		return nil // the instance has no registry
	case status == http.StatusForbidden && code == "DENIED" && !must:
		return nil // the token is good, and its scopes aren't for the registry
	case status == http.StatusForbidden && code == "DENIED":
		return c.refuse(op, "check that the token's scopes at GitLab are those in rota.yaml", &provider.Answer{Status: status, Message: "its scopes aren't for the registry"})
	}
	return c.strange(op, status)
}

// readRepository asks for what git asks for first.
func (c *Connection) readRepository(ctx context.Context, op, project, username, value string) error {
	if _, err := strconv.ParseInt(project, 10, 64); err == nil {
		one, resp, err := c.api.Projects.GetProject(project, nil, with(ctx))
		if err := c.fail("find the path of project "+project, needProject, resp, err); err != nil {
			return err
		}
		project = one.PathWithNamespace
	}
	status, body, err := c.basic(ctx, op, "/"+strings.Trim(project, "/")+".git/info/refs?service=git-upload-pack", username, value)
	switch {
	case err != nil:
		return err
	case status == http.StatusOK && bytes.HasPrefix(body, []byte("001e# service=git-upload-pack")):
		return nil
	case status == http.StatusUnauthorized:
		return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: errNoLogin}
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return c.refuse(op, "check that the project has a repository, that the token's scopes at GitLab are those in rota.yaml, and that the instance takes deploy tokens for git over HTTP",
			fmt.Errorf("it can't read the repository: %w", &provider.Answer{Status: status}))
	}
	return c.strange(op, status)
}

// strange is about an answer that GitLab doesn't give to a login, and that says nothing
// about the token.
func (c *Connection) strange(op string, status int) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: &provider.Answer{Status: status},
		Remedies: rota.Outside("check that the connection's url leads to GitLab and not to a proxy or a login page, and that GitLab hasn't banned this machine's address for failed logins")}
}

// basic makes a request outside of GitLab's API, with a login of its own.
func (c *Connection) basic(ctx context.Context, op, path, username, value string) (status int, body []byte, err error) {
	if err := (limiter{c}).Wait(ctx); err != nil {
		return 0, nil, c.fail(op, needProject, nil, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.url.String(), "/")+path, nil)
	if err != nil {
		return 0, nil, c.refuse(op, "correct the connection's url", errors.New("the address can't be used"))
	}
	r.SetBasicAuth(username, value)
	r.Header.Set("User-Agent", "rota")
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, c.fail(op, needProject, nil, err)
	}
	defer func() { _ = resp.Body.Close() }()
	// The beginning says all; a repository's list of branches can be long.
	if body, err = io.ReadAll(io.LimitReader(resp.Body, 64<<10)); err != nil {
		return 0, nil, c.fail(op, needProject, &api.Response{Response: resp}, err)
	}
	return resp.StatusCode, body, nil
}
