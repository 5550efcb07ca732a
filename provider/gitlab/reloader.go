package gitlab

import (
	"cmp"
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

const (
	defaultTimeout = time.Hour
	defaultPoll    = 5 * time.Second
)

// Pipeline is a reloader: a pipeline that deploys what uses the credential.
type Pipeline struct {
	Reloader   string // the reloader's name in rota.yaml
	Connection *Connection
	// Project is its path or number.
	Project string
	// Ref is the branch or tag.
	Ref string
	// Play is the name of a manual job to run in the ref's latest pipeline. "" makes
	// a new pipeline.
	Play string
	// TriggerToken, if set, makes the pipeline instead of the connection's token.
	TriggerToken string
	// Variables are given to a new pipeline.
	Variables map[string]string
	// VersionVariable, if set, is given the version to be deployed, by which a
	// pipeline is recognized that was made before an interruption.
	VersionVariable string
	// Job and Environment say what to wait for: one job of the pipeline, or its
	// deployment to an environment. By default it's the whole pipeline.
	Job, Environment string
	// Timeout bounds a reload; an hour if it's 0.
	Timeout time.Duration
	// Poll is how often GitLab is asked how far it is; 5 s if it's 0.
	Poll time.Duration
	// NoWait says that no earlier pipeline is waited for before the old credential
	// is retired.
	NoWait bool
}

var (
	_ rota.Reloader       = (*Pipeline)(nil)
	_ rota.Preflighter    = (*Pipeline)(nil)
	_ rota.HolderReporter = (*Pipeline)(nil)
)

// Name implements [rota.Reloader].
func (p *Pipeline) Name() string { return p.Reloader }

// what is the deployment for people.
func (p *Pipeline) what() string {
	if p.Play != "" {
		return "job " + p.Play + " of " + p.Project + " (" + p.Ref + ")"
	}
	return "a pipeline of " + p.Project + " (" + p.Ref + ")"
}

// Reload implements [rota.Reloader]: it starts the deployment and waits until it
// has succeeded. Called again for a version, it deploys again, unless it can tell
// that an earlier call's pipeline is still there.
func (p *Pipeline) Reload(ctx context.Context, r rota.ReloadRequest) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Timeout, defaultTimeout))
	defer cancel()
	if p.Play != "" {
		job, err := p.play(ctx)
		if err != nil {
			return err
		}
		return p.waitForJob(ctx, job)
	}
	id, err := p.Begin(ctx, r.Version)
	if err != nil {
		return err
	}
	return p.wait(ctx, id)
}

// Begin makes a pipeline, waits for nothing and returns the pipeline's number. If the
// answer is lost, one that has come into being since is taken for it: it's as new as
// the values that it deploys.
func (p *Pipeline) Begin(ctx context.Context, version string) (int64, error) {
	if p.VersionVariable != "" {
		id, err := p.begunFor(ctx, version)
		if err != nil || id != 0 {
			return id, err
		}
	}
	newest, err := p.newest(ctx)
	if err != nil {
		return 0, err
	}
	made, err := p.create(ctx, version)
	if err == nil {
		return made.ID, nil
	}
	if status := provider.StatusOf(err); rota.ClassOf(err) != rota.ClassWait || ctx.Err() != nil || status >= 400 && status < 500 && status != http.StatusRequestTimeout {
		return 0, err // refused, so what's new isn't Rota's
	}
	if now, lookErr := p.newest(ctx); lookErr == nil && now > newest {
		return now, nil
	}
	return 0, err
}

// source is how GitLab calls the origin of the pipelines that Rota makes.
func (p *Pipeline) source() string {
	if p.TriggerToken != "" {
		return "trigger"
	}
	return "api"
}

func (p *Pipeline) create(ctx context.Context, version string) (*api.Pipeline, error) {
	variables := map[string]string{}
	for key, value := range p.Variables {
		variables[key] = value
	}
	if p.VersionVariable != "" {
		variables[p.VersionVariable] = version
	}
	op := "start " + p.what()
	if p.TriggerToken != "" {
		made, resp, err := p.Connection.api.PipelineTriggers.RunPipelineTrigger(p.Project, &api.RunPipelineTriggerOptions{Ref: &p.Ref, Token: &p.TriggerToken, Variables: variables}, with(ctx))
		err = p.Connection.fail(op, needPipeline, resp, err)
		if provider.StatusOf(err) == 404 {
			err = rota.WithRemedies(err, rota.Outside("check the trigger token, or the project's name: GitLab finds no such pair"))
		}
		return made, p.refusedRef(err)
	}
	opt := &api.CreatePipelineOptions{Ref: &p.Ref}
	if len(variables) > 0 {
		var list []*api.PipelineVariableOptions
		for key, value := range variables {
			list = append(list, &api.PipelineVariableOptions{Key: &key, Value: &value})
		}
		opt.Variables = &list
	}
	made, resp, err := p.Connection.api.Pipelines.CreatePipeline(p.Project, opt, with(ctx))
	return made, p.refusedRef(p.Connection.fail(op, needPipeline, resp, err))
}

// refusedRef adds what a person can do about a pipeline that GitLab won't make.
func (p *Pipeline) refusedRef(err error) error {
	if provider.StatusOf(err) != http.StatusBadRequest || rota.ClassOf(err) == rota.ClassWait {
		return err
	}
	if strings.Contains(strings.ToLower(err.Error()), "permission to run") {
		return rota.WithRemedies(err, rota.Outside(string(needPipeline)+": for a protected branch or tag, one that may merge or push there"))
	}
	hint := "check that the ref exists, that its .gitlab-ci.yml is valid, and that its rules leave jobs in a pipeline made over the API"
	if len(p.Variables) > 0 || p.VersionVariable != "" {
		hint += "; or let the project's settings permit pipeline variables"
	}
	return rota.WithRemedies(err, rota.Outside(hint))
}

// newest is the number of the ref's newest pipeline of the same source.
func (p *Pipeline) newest(ctx context.Context) (int64, error) {
	list, err := p.recent(ctx, 1)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].ID, nil
}

// recent are the ref's newest pipelines of the same source.
func (p *Pipeline) recent(ctx context.Context, n int64) ([]*api.PipelineInfo, error) {
	source := p.source()
	list, resp, err := p.Connection.api.Pipelines.ListProjectPipelines(p.Project, &api.ListProjectPipelinesOptions{ListOptions: api.ListOptions{PerPage: n}, Ref: &p.Ref, Source: &source}, with(ctx))
	return list, p.Connection.fail("list the pipelines of "+p.Project, needPipeline, resp, err)
}

// begunFor finds a pipeline for the version that hasn't failed, 0 if there is none.
func (p *Pipeline) begunFor(ctx context.Context, version string) (int64, error) {
	list, err := p.recent(ctx, 20)
	if err != nil {
		return 0, err
	}
	for _, one := range list {
		if state := one.Status; state == "failed" || state == "canceled" || state == "skipped" {
			continue
		}
		variables, resp, err := p.Connection.api.Pipelines.GetPipelineVariables(p.Project, one.ID, with(ctx))
		if err := p.Connection.fail(fmt.Sprintf("read the variables of pipeline %d", one.ID), needPipeline, resp, err); err != nil {
			return 0, err
		}
		for _, v := range variables {
			if v.Key == p.VersionVariable && v.Value == version {
				return one.ID, nil
			}
		}
	}
	return 0, nil
}

// play runs the manual job of the ref's latest pipeline, again if it has run. One
// that is running already may have begun with the old values: it runs again once
// it has ended.
func (p *Pipeline) play(ctx context.Context) (*api.Job, error) {
	latest, err := p.latest(ctx)
	if err != nil {
		return nil, err
	}
	job, err := p.jobOf(ctx, latest, p.Play)
	if err != nil {
		return nil, err
	}
	if done, _ := ended(job.Status); !done {
		_ = p.waitForJob(ctx, job) // whether it succeeds is no matter
		if job, err = p.jobOf(ctx, latest, p.Play); err != nil {
			return nil, err
		}
	}
	op := "run " + p.what()
	var begun *api.Job
	var resp *api.Response
	if job.Status == "manual" {
		begun, resp, err = p.Connection.api.Jobs.PlayJob(p.Project, job.ID, &api.PlayJobOptions{}, with(ctx))
	} else {
		begun, resp, err = p.Connection.api.Jobs.RetryJob(p.Project, job.ID, with(ctx))
	}
	if err = p.Connection.fail(op, needPipeline, resp, err); err == nil {
		return begun, nil
	}
	// If only the answer was lost, the job isn't as it was.
	if now, lookErr := p.jobOf(ctx, latest, p.Play); lookErr == nil && (now.ID != job.ID || job.Status == "manual" && now.Status != "manual") {
		return now, nil
	}
	return nil, err
}

// latest is the ref's latest pipeline.
func (p *Pipeline) latest(ctx context.Context) (int64, error) {
	op := "find the latest pipeline of " + p.Project + " (" + p.Ref + ")"
	latest, resp, err := p.Connection.api.Pipelines.GetLatestPipeline(p.Project, &api.GetLatestPipelineOptions{Ref: &p.Ref}, with(ctx))
	if err := p.Connection.fail(op, needPipeline, resp, err); provider.StatusOf(err) == http.StatusForbidden {
		// GitLab says so too if there's none.
		list, resp, listErr := p.Connection.api.Pipelines.ListProjectPipelines(p.Project, &api.ListProjectPipelinesOptions{ListOptions: api.ListOptions{PerPage: 1}, Ref: &p.Ref}, with(ctx))
		if listErr = p.Connection.fail(op, needPipeline, resp, listErr); listErr != nil || len(list) > 0 {
			return 0, cmp.Or(listErr, err)
		}
		return 0, p.Connection.refuse(op, "run a pipeline for "+p.Ref+" at GitLab once, or correct the reloader's ref", errors.New("it has none yet"))
	} else if err != nil {
		return 0, err
	}
	return latest.ID, nil
}

// jobOf finds a pipeline's job by its name.
func (p *Pipeline) jobOf(ctx context.Context, pipeline int64, name string) (*api.Job, error) {
	op := fmt.Sprintf("find job %s in pipeline %d of %s", name, pipeline, p.Project)
	jobs, err := pages(func(page int64) ([]*api.Job, *api.Response, error) {
		return p.Connection.api.Jobs.ListPipelineJobs(p.Project, pipeline, &api.ListJobsOptions{ListOptions: api.ListOptions{Page: page, PerPage: perPage}}, with(ctx))
	})
	if err != nil {
		return nil, p.Connection.fail(op, needPipeline, nil, err)
	}
	var names []string
	for _, j := range jobs {
		if j.Name == name {
			return j, nil
		}
		names = append(names, j.Name)
	}
	return nil, p.Connection.refuse(op, "correct the job's name, or the rules that leave it out of the pipeline; a trigger job can be waited for, but not played",
		noJobError{names})
}

// noJobError is a pipeline without the job that's asked for.
type noJobError struct{ has []string }

func (e noJobError) Error() string { return "it only has " + provider.Said(strings.Join(e.has, ", ")) }
