package github

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// unfinished are the states of workflow runs that have jobs left. GitHub reads the
// secrets of repositories and organizations when a run is queued, so one that waits
// for an approval holds them too.
var unfinished = []string{"queued", "in_progress", "waiting", "pending", "requested"}

const (
	// skew is how wrong it may be how far GitHub's clock is from Rota's.
	skew = 2 * time.Minute
	// maxRepositories is how many repositories of an organization are asked about,
	// with a call for each state.
	maxRepositories = 100
)

// Holders implements [rota.HolderReporter]: workflow runs that were queued before
// the new values were in place, and secrets that someone has changed since, which
// may hold any value.
func (t *Secrets) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	p := t.place()
	var holders []rota.Holder
	for _, name := range t.names() {
		s, exists, err := t.Connection.getSecret(ctx, p, name)
		if err != nil {
			return nil, err
		}
		if exists {
			holders = append(holders, t.Connection.changedSince("secret "+name+" of "+p.String(), s.UpdatedAt.Time, r)...)
		}
	}
	if len(holders) > 0 || t.NoWait || p.usedBy == Codespaces {
		return holders, nil
	}
	repositories := t.WaitFor
	var err error
	switch {
	case len(repositories) > 0:
	case p.Repository != "":
		repositories = []string{p.Owner + "/" + p.Repository}
	default:
		if repositories, err = t.readers(ctx); err != nil {
			return nil, err
		}
	}
	return t.Connection.runsBefore(ctx, repositories, r.Since)
}

// readers are the repositories that read secrets of the organization.
func (t *Secrets) readers(ctx context.Context) ([]string, error) {
	p := t.place()
	var all []string
	for _, name := range t.names() {
		s, exists, err := t.Connection.getSecret(ctx, p, name)
		if err != nil {
			return nil, err
		}
		if exists && s.Visibility != "selected" {
			return t.Connection.repositoriesOf(ctx, p.Owner)
		}
		if !exists {
			continue
		}
		_, selected, err := t.Connection.selected(ctx, p.access(write), p.secrets()+"/"+name, "secret "+name+" of "+p.String(), p.usedBy == Dependabot)
		if err != nil {
			return nil, err
		}
		all = append(all, selected...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// repositoriesOf are the repositories of an organization.
func (c *Connection) repositoriesOf(ctx context.Context, owner string) ([]string, error) {
	op, a := "list the repositories of "+owner, access{owner: owner}.with(permission{"metadata", read})
	list, err := pages(func(o api.ListOptions) ([]*api.Repository, *api.Response, error) {
		return c.api.Repositories.ListByOrg(a.in(ctx), owner, &api.RepositoryListByOrgOptions{ListOptions: o})
	})
	if err != nil {
		return nil, c.fail(op, a, nil, err)
	}
	var names []string
	for _, r := range list {
		if !r.GetArchived() { // which run nothing
			names = append(names, r.GetFullName())
		}
	}
	return names, nil
}

// runsBefore are unfinished workflow runs that were queued before a time.
func (c *Connection) runsBefore(ctx context.Context, repositories []string, since time.Time) ([]rota.Holder, error) {
	if len(repositories) > maxRepositories {
		return nil, c.refuse("find workflow runs", "list the repositories that use the secrets under wait_for, or set no_wait: true", fmt.Errorf("there are %d repositories, too many to look at", len(repositories)))
	}
	for _, one := range repositories {
		owner, repository, err := ParseRepository(strings.TrimSpace(one))
		if err != nil {
			return nil, c.refuse("find workflow runs", "write owner/name", err)
		}
		if holders, err := c.runsOf(ctx, owner, repository, since); err != nil || len(holders) > 0 {
			return holders, err
		}
	}
	return nil, nil
}

func (c *Connection) runsOf(ctx context.Context, owner, repository string, since time.Time) ([]rota.Holder, error) {
	a := access{owner: owner, repository: repository}.with(permission{"actions", read})
	op := "list workflow runs of " + a.String()
	var holders []rota.Holder
	for _, state := range unfinished {
		created := ""
		if there, known := c.clock.There(since); known {
			created = "<=" + there.Add(skew).UTC().Format(time.RFC3339)
		}
		list, err := pages(func(o api.ListOptions) ([]*api.WorkflowRun, *api.Response, error) {
			runs, resp, err := c.api.Actions.ListRepositoryWorkflowRuns(a.in(ctx), owner, repository, &api.ListWorkflowRunsOptions{
				Status: state, Created: created, ExcludePullRequests: true, ListOptions: o})
			if err != nil {
				return nil, resp, err
			}
			if runs == nil || runs.TotalCount == nil {
				return nil, resp, errUnreadable
			}
			return runs.WorkflowRuns, resp, nil
		})
		if err != nil {
			return nil, c.fail(op, a, nil, err)
		}
		there, _ := c.clock.There(since)
		for _, r := range list {
			if r.GetCreatedAt().After(there.Add(skew)) {
				continue
			}
			hint := "wait until it has finished; if nobody needs it, cancel it: "
			if r.GetStatus() == "waiting" {
				hint = "approve or reject what it waits for, or cancel it: "
			}
			holders = append(holders, rota.Holder{
				Name:     fmt.Sprintf("run %d of %s (%s), queued %s", r.GetID(), a, provider.Said(r.GetName()), r.GetCreatedAt().UTC().Format("2006-01-02 15:04 UTC")),
				Remedies: rota.Outside(hint + provider.Said(r.GetHTMLURL())),
			})
		}
	}
	return holders, nil
}
