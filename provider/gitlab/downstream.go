package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// A trigger job starts a pipeline downstream: a child of its own pipeline, or one in
// another project, to which it can hand on variables. Unless it has strategy: depend or
// mirror, it has succeeded as soon as that pipeline exists, and so has its own pipeline.

const (
	// triggeredWithin is how long before a time a pipeline was last at work whose trigger
	// jobs are looked at.
	triggeredWithin = rota.Day
	// maxListed is how many pages of finished pipelines are listed.
	maxListed = 20
	// maxDeep is how many pipelines may follow one another. GitLab permits two
	// generations of children.
	maxDeep = 5
)

// bridges are a pipeline's trigger jobs.
func (c *Connection) bridges(ctx context.Context, op string, project any, pipeline int64) ([]*api.Bridge, error) {
	list, err := pages(func(page int64) ([]*api.Bridge, *api.Response, error) {
		return c.api.Jobs.ListPipelineBridges(project, pipeline, &api.ListJobsOptions{ListOptions: api.ListOptions{Page: page, PerPage: perPage}}, with(ctx))
	})
	return list, c.fail(op, needPipeline, nil, err)
}

// downstreamBefore are unfinished pipelines of other projects that were triggered by
// pipelines of this one that have finished. Those that go on are holders themselves, and
// the project's own list has its children.
func (c *Connection) downstreamBefore(ctx context.Context, project string, since time.Time) ([]rota.Holder, error) {
	op := "list the pipelines that project " + project + " triggered"
	var list []*api.PipelineInfo
	for _, source := range []*string{nil, &children} { // what a child triggered goes on after it, too
		some, resp, err := c.finishedBefore(ctx, project, source, since)
		err = c.fail(op, needPipeline, resp, err)
		if provider.StatusOf(err) == http.StatusForbidden && c.runsNothing(ctx, project) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	var holders []rota.Holder
	for _, p := range list {
		jobs, err := c.bridges(ctx, op, project, p.ID)
		if err != nil {
			return nil, err
		}
		for _, b := range jobs {
			d := b.DownstreamPipeline
			if d == nil || d.ProjectID == p.ProjectID && d.ProjectID != 0 || !c.beganBefore(d, since) {
				continue
			}
			if over, _ := ended(d.Status); !over {
				h := holderOf("another project", d)
				h.Name += fmt.Sprintf(", which job %s of %s triggered", provider.Said(b.Name), project)
				holders = append(holders, h)
			}
		}
	}
	return holders, nil
}

// finishedBefore are the last pipelines that began before a time and have finished, a page
// of them at most. GitLab before 17.11 doesn't know created_before and lists later ones
// first.
func (c *Connection) finishedBefore(ctx context.Context, project string, source *string, since time.Time) (list []*api.PipelineInfo, resp *api.Response, err error) {
	there, _ := c.clock.There(since)
	oldest := there.Add(-triggeredWithin)
	for page := int64(1); page > 0 && page <= maxListed && len(list) < perPage; page = resp.NextPage {
		var some []*api.PipelineInfo
		some, resp, err = c.api.Pipelines.ListProjectPipelines(project, &api.ListProjectPipelinesOptions{
			ListOptions: api.ListOptions{Page: page, PerPage: perPage}, Scope: new("finished"), Source: source, CreatedBefore: new(there.Add(skew)), UpdatedAfter: &oldest}, with(ctx))
		if err != nil {
			return nil, resp, err
		}
		for _, p := range some {
			if c.beganBefore(p, since) && (p.UpdatedAt == nil || !p.UpdatedAt.Before(oldest)) {
				list = append(list, p)
			}
		}
	}
	return list, resp, nil
}

// followed is what's known of the pipelines downstream of one.
type followed struct {
	same   map[int64]bool // those in the same project, with the one it began with
	going  bool           // one hasn't ended
	failed error          // why one has failed
	err    error          // why one couldn't be looked at
}

// outcome is that of all of them. One that failed decides it, whatever the others do.
func (f *followed) outcome() (done bool, err error) {
	switch {
	case f.failed != nil:
		return true, f.failed
	case f.err != nil:
		return false, f.err
	}
	return !f.going, nil
}

// follow looks at the pipelines that a pipeline's trigger jobs started, and at those that
// these started, as far as the token may see them.
func (p *Pipeline) follow(ctx context.Context, op string, one *api.Pipeline) *followed {
	f := &followed{same: map[int64]bool{one.ID: true}}
	f.err = p.followFrom(ctx, op, f, one.ProjectID, p.Project, one.ID, maxDeep)
	return f
}

func (p *Pipeline) followFrom(ctx context.Context, op string, f *followed, home int64, project any, pipeline int64, deep int) error {
	jobs, err := p.Connection.bridges(ctx, op, project, pipeline)
	if status := provider.StatusOf(err); deep < maxDeep && (status == http.StatusForbidden || status == http.StatusNotFound) {
		return nil // the state that the project above shows is all that the token may see
	}
	if err != nil {
		return err
	}
	for _, b := range jobs {
		d := b.DownstreamPipeline
		if d == nil {
			continue // it hasn't begun; the state of its own pipeline says so
		}
		inside := d.ProjectID == 0 || d.ProjectID == home
		if inside {
			f.same[d.ID] = true
		}
		done, good := ended(d.Status)
		switch {
		case done && !good && !b.AllowFailure:
			why := fmt.Errorf("pipeline %d, which job %s triggered, is %s", d.ID, provider.Said(b.Name), provider.Said(d.Status))
			f.failed = p.ended(op, why, d.WebURL)
			return nil
		case !done:
			f.going = true
		}
		var next any = d.ProjectID
		if d.ProjectID == 0 {
			next = project
		}
		if deep > 0 {
			if err := p.followFrom(ctx, op, f, home, next, d.ID, deep-1); err != nil || f.failed != nil {
				return err
			}
		}
	}
	return nil
}

// bridgeOf finds a pipeline's trigger job by its name, nil if there is none.
func (p *Pipeline) bridgeOf(ctx context.Context, op string, pipeline int64, name string) (*api.Bridge, error) {
	jobs, err := p.Connection.bridges(ctx, op, p.Project, pipeline)
	for _, b := range jobs {
		if b.Name == name {
			return b, nil
		}
	}
	return nil, err
}

// bridgeDone looks at the one trigger job that's waited for, and at what it started.
func (p *Pipeline) bridgeDone(ctx context.Context, op string, one *api.Pipeline, b *api.Bridge) (bool, error) {
	switch done, good := ended(b.Status); {
	case done && !good:
		return true, p.failedJob(op, &api.Job{Status: b.Status, FailureReason: b.FailureReason, WebURL: b.WebURL})
	case !done:
		if over, good := ended(one.Status); over && !good {
			return true, p.failedPipeline(ctx, op, one)
		}
		return false, nil
	}
	d := b.DownstreamPipeline
	if d == nil {
		return true, nil
	}
	done, good := ended(d.Status)
	if done && !good {
		return true, p.ended(op, fmt.Errorf("pipeline %d, which it triggered, is %s", d.ID, provider.Said(d.Status)), d.WebURL)
	}
	return done, nil
}

// noEnvironments explains a refusal of deployments by a project whose environments are
// turned off.
func (c *Connection) noEnvironments(ctx context.Context, op, project string, err error) error {
	if provider.StatusOf(err) != http.StatusForbidden {
		return err
	}
	one, _, askErr := c.api.Projects.GetProject(project, nil, with(ctx))
	if askErr != nil || one.EnvironmentsAccessLevel != api.DisabledAccessControl {
		return err
	}
	return c.refuse(op, "turn on Environments in the project's settings (General, Visibility, project features, permissions), or have the reloader wait for a job in place of the environment",
		errors.New("the project has environments turned off"))
}
