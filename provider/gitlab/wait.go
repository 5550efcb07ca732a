package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// ended says how a state of a pipeline or job ends the wait for it.
func ended(state string) (done, good bool) {
	switch state {
	case "success":
		return true, true
	case "failed", "canceled", "skipped", "manual":
		return true, false
	}
	return false, false
}

// until looks until it's done, and waits between two. A single failed look isn't the end
// of the wait: the deployment goes on meanwhile.
func (p *Pipeline) until(ctx context.Context, op string, look func() (done bool, err error)) error {
	for misses := 0; ; {
		done, err := look()
		switch {
		case done:
			return err
		case err == nil:
			misses = 0
		case rota.ClassOf(err) != rota.ClassWait, ctx.Err() != nil, misses >= maxMisses:
			return p.late(ctx, op, err)
		default:
			misses++
		}
		if err := rota.Sleep(ctx, max(cmp.Or(p.Poll, defaultPoll), askedFor(err))); err != nil {
			return p.late(ctx, op, err)
		}
	}
}

// askedFor is the pause that a failed look asks for.
func askedFor(err error) time.Duration {
	if e, ok := errors.AsType[*rota.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// maxMisses is how many looks in a row may fail.
const maxMisses = 10

// late says that the wait is over, where that's why a look failed.
func (p *Pipeline) late(ctx context.Context, op string, err error) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return &rota.Error{System: p.Connection.system(), Connection: p.Connection.name, Op: op, Class: rota.ClassWait, Err: fmt.Errorf("it wasn't done within %s: %w", rota.FormatDuration(cmp.Or(p.Timeout, defaultTimeout)), ctx.Err()),
		Remedies: rota.Outside("see what it waits for at GitLab, such as a runner; if it just needs longer, raise the reloader's timeout")}
}

// wait waits for a pipeline, or for what of it the reloader is about.
func (p *Pipeline) wait(ctx context.Context, id int64) error {
	op := fmt.Sprintf("wait for pipeline %d of %s", id, p.Project)
	return p.until(ctx, op, func() (bool, error) {
		return p.look(ctx, op, id)
	})
}

// look asks once how far a pipeline is.
func (p *Pipeline) look(ctx context.Context, op string, id int64) (done bool, err error) {
	one, resp, err := p.Connection.api.Pipelines.GetPipeline(p.Project, id, with(ctx))
	if err := p.Connection.fail(op, needPipeline, resp, err); err != nil {
		return false, err
	}
	switch done, good := ended(one.Status); {
	case p.Job != "":
		return p.jobDone(ctx, one)
	case p.Environment != "":
		return p.deployed(ctx, one)
	case good:
		return p.follow(ctx, op, one).outcome()
	case done:
		return true, p.failedPipeline(ctx, op, one)
	}
	return false, nil
}

// Deployed asks once whether a pipeline that [Pipeline.Begin] made has succeeded, or
// a later one of the same branch or tag that somebody ran in its place. The error
// says why it hasn't.
func (p *Pipeline) Deployed(ctx context.Context, id int64) (bool, error) {
	done, failure := p.look(ctx, fmt.Sprintf("see whether pipeline %d of %s has succeeded", id, p.Project), id)
	if failure == nil {
		return done, nil
	}
	list, resp, err := p.Connection.api.Pipelines.ListProjectPipelines(p.Project, &api.ListProjectPipelinesOptions{
		ListOptions: api.ListOptions{PerPage: 1}, Ref: &p.Ref, Status: new(api.Success)}, with(ctx))
	if err := p.Connection.fail("list the pipelines of "+p.Project, needPipeline, resp, err); err != nil {
		return false, err
	}
	if len(list) == 0 || list[0].ID <= id {
		return false, failure
	}
	if p.Job == "" && p.Environment == "" {
		return true, nil
	}
	return p.look(ctx, fmt.Sprintf("see whether pipeline %d of %s has succeeded", list[0].ID, p.Project), list[0].ID)
}

// jobDone looks at the one job that's waited for.
func (p *Pipeline) jobDone(ctx context.Context, one *api.Pipeline) (bool, error) {
	op := "run job " + p.Job + " of " + p.Project
	job, err := p.jobOf(ctx, one.ID, p.Job)
	if _, none := errors.AsType[noJobError](err); none {
		b, bridgeErr := p.bridgeOf(ctx, op, one.ID, p.Job)
		if b != nil {
			return p.bridgeDone(ctx, op, one, b)
		}
		err = cmp.Or(bridgeErr, err)
	}
	if err != nil {
		return false, err
	}
	switch done, good := ended(job.Status); {
	case good:
		return true, nil
	case done:
		return true, p.failedJob(op, job)
	}
	if done, good := ended(one.Status); done && !good {
		return true, p.failedPipeline(ctx, op, one)
	}
	return false, nil
}

// deployed looks for the deployment to the environment by the pipeline, or by one that it
// triggered in the same project.
func (p *Pipeline) deployed(ctx context.Context, one *api.Pipeline) (bool, error) {
	op := "deploy " + p.Project + " to " + p.Environment
	list, resp, err := p.Connection.api.Deployments.ListProjectDeployments(p.Project, &api.ListProjectDeploymentsOptions{
		ListOptions: api.ListOptions{PerPage: perPage}, Environment: &p.Environment, OrderBy: new("id"), Sort: new("desc")}, with(ctx))
	if err := p.Connection.noEnvironments(ctx, op, p.Project, p.Connection.fail(op, needPipeline, resp, err)); err != nil {
		return false, err
	}
	if done, found, err := p.deployedBy(ctx, op, one, list, map[int64]bool{one.ID: true}); found {
		return done, err
	}
	over, good := ended(one.Status)
	if over && !good {
		return true, p.failedPipeline(ctx, op, one)
	}
	f := p.follow(ctx, op, one)
	if f.failed != nil || f.err != nil {
		return f.outcome()
	}
	if done, found, err := p.deployedBy(ctx, op, one, list, f.same); found {
		return done, err
	}
	if good && !f.going {
		return true, p.Connection.refuse(op, "correct the environment's name, or give one of the pipeline's jobs that environment", fmt.Errorf("pipeline %d has succeeded without a deployment there", one.ID))
	}
	return false, nil
}

// deployedBy looks in a list of deployments for the newest one by one of these pipelines.
func (p *Pipeline) deployedBy(ctx context.Context, op string, one *api.Pipeline, list []*api.Deployment, by map[int64]bool) (done, found bool, err error) {
	for _, d := range list {
		if !by[d.Deployable.Pipeline.ID] {
			continue
		}
		done, good := ended(d.Status)
		if done && !good {
			return true, true, p.failedPipeline(ctx, op, one)
		}
		return done, true, nil
	}
	return false, false, nil
}

// waitForJob waits for a job that was started by itself.
func (p *Pipeline) waitForJob(ctx context.Context, job *api.Job) error {
	op := "run " + p.what()
	return p.until(ctx, op, func() (bool, error) {
		now, resp, err := p.Connection.api.Jobs.GetJob(p.Project, job.ID, with(ctx))
		if err := p.Connection.fail(op, needPipeline, resp, err); err != nil {
			return false, err
		}
		done, good := ended(now.Status)
		if done && !good {
			return true, p.failedJob(op, now)
		}
		return done, nil
	})
}

// failedJob is the error of a job that didn't succeed. Its log may hold values, and
// isn't shown.
func (p *Pipeline) failedJob(op string, j *api.Job) error {
	why := j.Status
	if j.FailureReason != "" {
		why += " (" + j.FailureReason + ")"
	}
	return p.ended(op, errors.New("it "+provider.Said(why)), j.WebURL)
}

// failedPipeline is the error of a pipeline that didn't succeed, with the jobs that
// are to blame.
func (p *Pipeline) failedPipeline(ctx context.Context, op string, one *api.Pipeline) error {
	why := fmt.Sprintf("pipeline %d is %s", one.ID, one.Status)
	if one.YamlErrors != "" {
		why += ": " + one.YamlErrors
	}
	jobs, _, err := p.Connection.api.Jobs.ListPipelineJobs(p.Project, one.ID, &api.ListJobsOptions{ListOptions: api.ListOptions{PerPage: perPage}}, with(ctx))
	var blamed []string
	for _, j := range jobs {
		switch {
		case j.Status == "failed" && !j.AllowFailure && j.FailureReason != "":
			blamed = append(blamed, "job "+j.Name+" failed ("+j.FailureReason+")")
		case j.Status == "failed" && !j.AllowFailure:
			blamed = append(blamed, "job "+j.Name+" failed")
		case j.Status == "manual" && one.Status == "manual":
			blamed = append(blamed, "job "+j.Name+" waits for a person")
		}
	}
	if err == nil && len(blamed) > 0 {
		why += ": " + strings.Join(blamed, ", ")
	}
	return p.ended(op, errors.New(provider.Said(why)), one.WebURL)
}

func (p *Pipeline) ended(op string, err error, address string) error {
	return &rota.Error{System: p.Connection.system(), Connection: p.Connection.name, Op: op, Class: rota.ClassWait, Err: err,
		Remedies: rota.Outside("see its log, and mend what keeps it from deploying; Rota starts it anew: " + provider.Said(address))}
}

// Preflight implements [rota.Preflighter].
func (p *Pipeline) Preflight(ctx context.Context) []rota.Finding {
	findings := p.Connection.preflightToken(ctx)
	check := "run " + p.what()
	if p.Play != "" {
		latest, err := p.latest(ctx)
		if err == nil {
			_, err = p.jobOf(ctx, latest, p.Play)
		}
		return append(findings, provider.Found(check, "", err))
	}
	resp, err := p.Connection.refExists(ctx, p.Project, p.Ref)
	return append(findings, provider.Found(check, "", p.Connection.fail(check, needPipeline, resp, err)))
}

// refExists looks for a branch or tag.
func (c *Connection) refExists(ctx context.Context, project, ref string) (*api.Response, error) {
	_, resp, err := c.api.Commits.GetCommit(project, ref, nil, with(ctx))
	return resp, err
}

// Holders implements [rota.HolderReporter]: pipelines of the project that began
// before the new value was in place.
func (p *Pipeline) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	if p.NoWait {
		return nil, nil
	}
	holders, err := p.Connection.pipelinesBefore(ctx, p.Project, r.Since)
	if err != nil || len(holders) > 0 {
		return holders, err
	}
	return p.Connection.downstreamBefore(ctx, p.Project, r.Since)
}
