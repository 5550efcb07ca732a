package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// unfinished are the states of pipelines with jobs that run or will run by
// themselves. One that waits for a person gets the new values with its next job.
var unfinished = []api.BuildStateValue{api.Running, api.Pending, api.Preparing, api.WaitingForResource, api.Scheduled, "canceling", "waiting_for_callback"}

const (
	// skew is how wrong it may be how far GitLab's clock is from Rota's.
	skew = 2 * time.Minute
	// maxProjects is how many projects of a group are asked about.
	maxProjects = 500
)

// Holders implements [rota.HolderReporter]. A job gets the variables when it starts
// and keeps them until it ends, and hands them on to later jobs of its pipeline if
// it likes: a pipeline that began before the new values were in place may hold the
// old ones.
func (t *Variables) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	if t.NoWait {
		return nil, nil
	}
	projects := t.WaitFor
	switch {
	case len(projects) > 0:
	case t.Place.Level == LevelProject:
		projects = []string{t.Place.ID}
	case t.Place.Level == LevelGroup:
		var err error
		if projects, err = t.Connection.projectsOf(ctx, t.Place.ID); err != nil {
			return nil, err
		}
	default:
		return nil, t.Connection.refuse("find running pipelines", "list the projects that use the variables under wait_for, or set no_wait: true",
			errors.New("GitLab doesn't list the pipelines of a whole instance"))
	}
	for _, project := range projects {
		holders, err := t.Connection.pipelinesBefore(ctx, project, r.Since)
		if err != nil || len(holders) > 0 {
			return holders, err
		}
	}
	return nil, nil
}

// pipelinesBefore are the project's unfinished pipelines that began before a time.
func (c *Connection) pipelinesBefore(ctx context.Context, project string, since time.Time) ([]rota.Holder, error) {
	var holders []rota.Holder
	for _, state := range unfinished {
		for _, source := range []*string{nil, &children} {
			more, err := c.pipelinesIn(ctx, project, state, source, since)
			if provider.StatusOf(err) == http.StatusForbidden && c.runsNothing(ctx, project) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			holders = append(holders, more...)
		}
	}
	return holders, nil
}

// children are the pipelines that jobs of others started in the same project. GitLab
// lists them only to who asks for them, and they can outlive the first ones.
var children = string(api.PipelineSourceParentPipeline)

// runsNothing reports whether CI/CD is turned off in a project. GitLab then lists no
// pipelines, to nobody.
func (c *Connection) runsNothing(ctx context.Context, project string) bool {
	one, _, err := c.api.Projects.GetProject(project, nil, with(ctx))
	return err == nil && one.BuildsAccessLevel == api.DisabledAccessControl
}

// pipelinesIn are those in one state that began before a time.
func (c *Connection) pipelinesIn(ctx context.Context, project string, state api.BuildStateValue, source *string, since time.Time) ([]rota.Holder, error) {
	var before *time.Time
	there, known := c.clock.There(since)
	if known {
		before = new(there.Add(skew))
	}
	list, err := pages(func(page int64) ([]*api.PipelineInfo, *api.Response, error) {
		return c.api.Pipelines.ListProjectPipelines(project, &api.ListProjectPipelinesOptions{
			ListOptions: api.ListOptions{Page: page, PerPage: perPage}, Status: &state, Source: source, CreatedBefore: before}, with(ctx))
	})
	if e, ok := errors.AsType[*api.ErrorResponse](err); ok && e.StatusCode == http.StatusBadRequest && (state == "canceling" || state == "waiting_for_callback") {
		return nil, nil // GitLab from before 2024 has no such state
	}
	if err != nil {
		return nil, c.fail("list running pipelines of project "+project, needPipeline, nil, err)
	}
	there, _ = c.clock.There(since)
	var holders []rota.Holder
	for _, p := range list {
		// GitLab before 17.11 doesn't know created_before and lists all.
		if p.CreatedAt != nil && p.CreatedAt.After(there.Add(skew)) {
			continue
		}
		began := ""
		if p.CreatedAt != nil {
			began = " on " + provider.Said(p.Ref) + ", begun " + p.CreatedAt.UTC().Format("2006-01-02 15:04 UTC")
		}
		holders = append(holders, rota.Holder{
			Name:     fmt.Sprintf("pipeline %d of %s%s", p.ID, project, began),
			Remedies: rota.Outside("wait until it has finished; if nobody needs it, cancel it: " + provider.Said(p.WebURL)),
		})
	}
	return holders, nil
}

// projectsOf are the projects that get a group's variables.
func (c *Connection) projectsOf(ctx context.Context, group string) ([]string, error) {
	op := "list the projects of group " + group
	yes, no := true, false
	list, err := pages(func(page int64) ([]*api.Project, *api.Response, error) {
		return c.api.Groups.ListGroupProjects(group, &api.ListGroupProjectsOptions{
			ListOptions: api.ListOptions{Page: page, PerPage: perPage}, IncludeSubGroups: &yes, WithShared: &no, Archived: &no, Simple: &yes}, with(ctx))
	})
	if err != nil {
		return nil, c.fail(op, needGroup, nil, err)
	}
	if len(list) > maxProjects {
		return nil, c.refuse(op, "list the projects that use the variables under wait_for, or set no_wait: true", fmt.Errorf("it has %d projects, too many to look at", len(list)))
	}
	var paths []string
	for _, p := range list {
		paths = append(paths, strings.TrimSpace(p.PathWithNamespace))
	}
	return paths, nil
}
