package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota/provider"
)

// UsedBy is what at GitHub reads a secret.
type UsedBy string

// The readers.
const (
	Actions    UsedBy = "actions"
	Dependabot UsedBy = "dependabot"
	Codespaces UsedBy = "codespaces"
)

// Place is where secrets or variables are kept.
type Place struct {
	// Owner is the organization or user.
	Owner string
	// Repository is its name without the owner, "" for those of the organization.
	Repository string
	// Environment is the one in the repository that they belong to, "" for all.
	Environment string
}

// String is the place for people.
func (p Place) String() string {
	switch {
	case p.Repository == "":
		return "organization " + p.Owner
	case p.Environment != "":
		return p.Owner + "/" + p.Repository + ", environment " + p.Environment
	}
	return p.Owner + "/" + p.Repository
}

// ParseRepository splits "owner/name".
func ParseRepository(text string) (owner, name string, err error) {
	if !repositoryName.MatchString(text) {
		return "", "", errors.New("not the name of a GitHub repository")
	}
	owner, name, _ = strings.Cut(text, "/")
	return owner, name, nil
}

var (
	ownerName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
)

// access is for calls about what a place has; name is the permission's, without
// the organization.
func (p Place) access(name, level string) access {
	a := access{owner: p.Owner, repository: p.Repository}
	switch {
	case p.Repository == "":
		name = "organization_" + name
	case p.Environment != "":
		name = "environments"
	}
	return a.with(permission{name, level})
}

// path is where the API has the secrets or variables of a place.
func (p Place) path(u UsedBy, what string) string {
	switch {
	case p.Repository == "":
		return "orgs/" + p.Owner + "/" + string(u) + "/" + what
	case p.Environment != "":
		return "repos/" + p.Owner + "/" + p.Repository + "/environments/" + url.PathEscape(p.Environment) + "/" + what
	}
	return "repos/" + p.Owner + "/" + p.Repository + "/" + string(u) + "/" + what
}

// place is one with the secrets of it that one part of GitHub reads.
type place struct {
	Place
	usedBy UsedBy
}

func (p place) secrets() string { return p.path(p.usedBy, "secrets") }

// access is for calls about the secrets.
func (p place) access(level string) access {
	name := string(p.usedBy) + "_secrets"
	if p.usedBy == Actions {
		name = "secrets"
	}
	return p.Place.access(name, level)
}

// String is the place for people.
func (p place) String() string {
	if p.usedBy == Actions {
		return p.Place.String()
	}
	return p.Place.String() + " (" + string(p.usedBy) + ")"
}

// sealingKey is the public key that values for the place are encrypted with.
func (c *Connection) sealingKey(ctx context.Context, p place) (publicKey, error) {
	var key api.PublicKey
	op := "read the public key of " + p.String()
	if _, err := c.call(ctx, p.access(write), op, http.MethodGet, p.secrets()+"/public-key", nil, &key); err != nil {
		return publicKey{}, err
	}
	k, err := parseKey(key.GetKeyID(), key.GetKey())
	if err != nil {
		return publicKey{}, c.fail(op, p.access(write), nil, errUnreadable)
	}
	return k, nil
}

// shown is what GitHub shows of a secret: everything but its value.
type shown = api.Secret

// getSecret looks at a secret; exists is false if there's none.
func (c *Connection) getSecret(ctx context.Context, p place, name string) (s shown, exists bool, err error) {
	_, err = c.call(ctx, p.access(write), "look at secret "+name+" of "+p.String(), http.MethodGet, p.secrets()+"/"+name, nil, &s)
	if provider.StatusOf(err) == http.StatusNotFound {
		return shown{}, false, nil
	}
	return s, err == nil, err
}

// sealed is the body of a request that writes a secret.
type sealed struct {
	KeyID      string `json:"key_id"`
	Value      string `json:"encrypted_value"`
	Visibility string `json:"visibility,omitempty"`
	// Selected are the numbers of repositories, for Dependabot as text.
	Selected any `json:"selected_repository_ids,omitempty"`
}

// putSecret writes a secret.
func (c *Connection) putSecret(ctx context.Context, p place, name string, body sealed) (*api.Response, error) {
	return c.call(ctx, p.access(write), "write secret "+name+" of "+p.String(), http.MethodPut, p.secrets()+"/"+name, body, nil)
}

// selected are the repositories that may read something of an organization, which is
// at a path, and their numbers as a write must give them to leave them as they are.
func (c *Connection) selected(ctx context.Context, a access, path, what string, texts bool) (ids any, repositories []string, err error) {
	op := "list the repositories that may read " + what
	list, err := pages(func(o api.ListOptions) ([]*api.Repository, *api.Response, error) {
		var part api.SelectedReposList
		resp, err := c.call(ctx, a, op, http.MethodGet, fmt.Sprintf("%s/repositories?per_page=%d&page=%d", path, o.PerPage, o.Page), nil, &part)
		return part.Repositories, resp, err
	})
	if err != nil {
		return nil, nil, c.fail(op, a, nil, err)
	}
	numbers, names := []int64{}, []string{}
	for _, r := range list {
		numbers, names = append(numbers, r.GetID()), append(names, fmt.Sprint(r.GetID()))
		repositories = append(repositories, r.GetFullName())
	}
	if texts {
		return names, repositories, nil
	}
	return numbers, repositories, nil
}

// count is how many secrets a place has.
func (c *Connection) count(ctx context.Context, p place) (int, error) {
	var list api.Secrets
	_, err := c.call(ctx, p.access(write), "list the secrets of "+p.String(), http.MethodGet, p.secrets()+"?per_page=1", nil, &list)
	return list.TotalCount, err
}
