package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// active are the states of jobs that run or will run by themselves. One that waits for a
// person gets the new values when it starts.
var active = []api.BuildStateValue{api.Running, api.Pending, api.Preparing, api.WaitingForResource, api.Scheduled}

// later are more of them, which GitLab from before 2024 doesn't have.
var later = []api.BuildStateValue{"canceling", "waiting_for_callback"}

// unfinished are the states of pipelines that can be in them without an active job: one
// is between two jobs, or its trigger job waits, which the list of jobs leaves out.
var unfinished = []api.BuildStateValue{api.Running, api.WaitingForResource}

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
	if len(t.WaitFor) == 0 && t.Place.Level == LevelGroup {
		return nil, nil // its projects' own lists have what they trigger in one another
	}
	for _, project := range projects {
		holders, err := t.Connection.downstreamBefore(ctx, project, r.Since)
		if err != nil || len(holders) > 0 {
			return holders, err
		}
	}
	return nil, nil
}

// pipelinesBefore are the project's unfinished pipelines that began before a time. Asking
// for its active jobs finds most of them with one call, and the states that the jobs don't
// show take four.
func (c *Connection) pipelinesBefore(ctx context.Context, project string, since time.Time) ([]rota.Holder, error) {
	found := map[int64]bool{}
	var holders []rota.Holder
	add := func(list []*api.PipelineInfo) {
		for _, p := range list {
			if !found[p.ID] && c.beganBefore(p, since) {
				holders = append(holders, holderOf(project, p))
			}
			found[p.ID] = true
		}
	}
	for _, state := range unfinished {
		for _, source := range []*string{nil, &children} {
			list, err := c.pipelinesIn(ctx, project, state, source, since)
			if provider.StatusOf(err) == http.StatusForbidden && c.runsNothing(ctx, project) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			add(list)
		}
	}
	pipelines, err := c.pipelinesWithJobs(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, id := range pipelines {
		if found[id] {
			continue
		}
		one, resp, err := c.api.Pipelines.GetPipeline(project, id, with(ctx))
		if err = c.fail("list running pipelines of project "+project, needPipeline, resp, err); err != nil && !errors.Is(err, rota.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			add([]*api.PipelineInfo{{ID: one.ID, Ref: one.Ref, WebURL: one.WebURL, CreatedAt: one.CreatedAt}})
		}
	}
	return holders, nil
}

// pipelinesWithJobs are the pipelines of the project's active jobs.
func (c *Connection) pipelinesWithJobs(ctx context.Context, project string) ([]int64, error) {
	list := func(states []api.BuildStateValue) ([]*api.Job, error) {
		return pages(func(page int64) ([]*api.Job, *api.Response, error) {
			return c.api.Jobs.ListProjectJobs(project, &api.ListJobsOptions{ListOptions: api.ListOptions{Page: page, PerPage: perPage}, Scope: &states}, with(ctx))
		})
	}
	jobs, err := list(slices.Concat(active, later))
	if e, ok := errors.AsType[*api.ErrorResponse](err); ok && e.StatusCode == http.StatusBadRequest {
		jobs, err = list(active)
	}
	if err != nil {
		return nil, c.fail("list running jobs of project "+project, needPipeline, nil, err)
	}
	var ids []int64
	for _, j := range jobs {
		if !slices.Contains(ids, j.Pipeline.ID) {
			ids = append(ids, j.Pipeline.ID)
		}
	}
	return ids, nil
}

// beganBefore reports whether a pipeline began before a time.
func (c *Connection) beganBefore(p *api.PipelineInfo, since time.Time) bool {
	there, _ := c.clock.There(since)
	return p.CreatedAt == nil || !p.CreatedAt.After(there.Add(skew))
}

// holderOf is a pipeline as a holder.
func holderOf(project string, p *api.PipelineInfo) rota.Holder {
	began := ""
	if p.CreatedAt != nil {
		began = " on " + provider.Said(p.Ref) + ", begun " + p.CreatedAt.UTC().Format("2006-01-02 15:04 UTC")
	}
	return rota.Holder{
		Name:     fmt.Sprintf("pipeline %d of %s%s", p.ID, project, began),
		Remedies: rota.Outside("wait until it has finished; if nobody needs it, cancel it: " + provider.Said(p.WebURL)),
	}
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

// pipelinesIn are those in one state that began before a time. GitLab before 17.11 doesn't
// know created_before and lists all.
func (c *Connection) pipelinesIn(ctx context.Context, project string, state api.BuildStateValue, source *string, since time.Time) ([]*api.PipelineInfo, error) {
	var before *time.Time
	if there, known := c.clock.There(since); known {
		before = new(there.Add(skew))
	}
	list, err := pages(func(page int64) ([]*api.PipelineInfo, *api.Response, error) {
		return c.api.Pipelines.ListProjectPipelines(project, &api.ListProjectPipelinesOptions{
			ListOptions: api.ListOptions{Page: page, PerPage: perPage}, Status: &state, Source: source, CreatedBefore: before}, with(ctx))
	})
	if err != nil {
		return nil, c.fail("list running pipelines of project "+project, needPipeline, nil, err)
	}
	return list, nil
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
