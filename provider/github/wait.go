package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// askedFor is the pause that a failed look asks for.
func askedFor(err error) time.Duration {
	if e, ok := errors.AsType[*rota.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// maxMisses is how many looks in a row may fail.
const maxMisses = 10

// wait looks at a run until it has ended, or the job of it that the reloader is
// about. A single failed look isn't the end of the wait: the deployment goes on
// meanwhile. A run that someone runs again is waited for as well.
func (w *Workflow) wait(ctx context.Context, id int64) error {
	op := fmt.Sprintf("wait for run %d of %s", id, w.what())
	waitsFor := ""
	for misses := 0; ; {
		run, err := w.run(ctx, op, id)
		done := false
		if err == nil {
			done, err = w.done(ctx, op, run)
		}
		switch {
		case done:
			return err
		case err == nil:
			misses = 0
			if run.GetStatus() == "waiting" {
				waitsFor = cmp.Or(w.approval(ctx, run), waitsFor, "an approval: "+provider.Said(run.GetHTMLURL()))
			} else {
				waitsFor = ""
			}
		case rota.ClassOf(err) != rota.ClassWait, ctx.Err() != nil, misses >= maxMisses:
			return w.late(ctx, op, err, waitsFor)
		default:
			misses++
		}
		if err := rota.Sleep(ctx, max(cmp.Or(w.Poll, defaultPoll), askedFor(err))); err != nil {
			return w.late(ctx, op, err, waitsFor)
		}
	}
}

func (w *Workflow) run(ctx context.Context, op string, id int64) (*api.WorkflowRun, error) {
	run, resp, err := w.Connection.api.Actions.GetWorkflowRunByID(w.access(read).in(ctx), w.Owner, w.Repository, id)
	if err == nil && run.GetStatus() == "" {
		err = errUnreadable
	}
	return run, w.Connection.fail(op, w.access(read), resp, err)
}

// done reports whether a run is over, and how.
func (w *Workflow) done(ctx context.Context, op string, run *api.WorkflowRun) (bool, error) {
	ended := run.GetStatus() == "completed"
	if w.Job != "" {
		job, err := w.job(ctx, run, w.Job)
		switch {
		case errors.Is(err, errNoJob) && !ended:
			return false, nil // GitHub lists a job once those that it needs have ended
		case err != nil:
			return errors.Is(err, errNoJob), err
		case job.GetStatus() != "completed" && !ended:
			return false, nil
		case job.GetConclusion() == "success":
			return true, nil
		}
		return true, w.ended(op, failure(job), job.GetHTMLURL())
	}
	if !ended {
		return false, nil
	}
	if run.GetConclusion() == "success" {
		return true, nil
	}
	return true, w.failedRun(ctx, op, run)
}

// errNoJob is about a run that has no such job, or not yet.
var errNoJob = errors.New("no such job")

func (w *Workflow) jobs(ctx context.Context, run *api.WorkflowRun) ([]*api.WorkflowJob, error) {
	op := fmt.Sprintf("list the jobs of run %d of %s", run.GetID(), w.what())
	list, err := pages(func(o api.ListOptions) ([]*api.WorkflowJob, *api.Response, error) {
		jobs, resp, err := w.Connection.api.Actions.ListWorkflowJobs(w.access(read).in(ctx), w.Owner, w.Repository, run.GetID(), &api.ListWorkflowJobsOptions{ListOptions: o})
		if err != nil {
			return nil, resp, err
		}
		if jobs == nil {
			return nil, resp, errUnreadable
		}
		return jobs.Jobs, resp, nil
	})
	return list, w.Connection.fail(op, w.access(read), nil, err)
}

// job finds a run's job by its name.
func (w *Workflow) job(ctx context.Context, run *api.WorkflowRun, name string) (*api.WorkflowJob, error) {
	list, err := w.jobs(ctx, run)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, j := range list {
		if j.GetName() == name {
			return j, nil
		}
		names = append(names, j.GetName())
	}
	return nil, &rota.Error{System: w.Connection.system(), Connection: w.Connection.name, Op: fmt.Sprintf("find job %s in run %d of %s", name, run.GetID(), w.what()), Class: rota.ClassWait,
		Remedies: rota.Outside("correct the job's name, or what leaves it out of the run"), Err: fmt.Errorf("%w: it only has %s", errNoJob, provider.Said(strings.Join(names, ", ")))}
}

// failure is why a job didn't succeed: the step, if one failed. Its log may hold
// values, and isn't shown.
func failure(j *api.WorkflowJob) error {
	why := "job " + j.GetName() + ": " + cmp.Or(j.GetConclusion(), j.GetStatus())
	for _, step := range j.Steps {
		if step.GetConclusion() == "failure" {
			why += " in step " + step.GetName()
			break
		}
	}
	return errors.New(provider.Said(why))
}

// failedRun is the error of a run that didn't succeed, with the jobs that are to
// blame.
func (w *Workflow) failedRun(ctx context.Context, op string, run *api.WorkflowRun) error {
	why := "it ended with " + provider.Said(run.GetConclusion())
	if run.GetConclusion() == "cancelled" {
		why = "someone cancelled it"
	}
	list, err := w.jobs(ctx, run)
	var blamed []string
	for _, j := range list {
		if c := j.GetConclusion(); c == "failure" || c == "timed_out" || c == "startup_failure" {
			blamed = append(blamed, failure(j).Error())
		}
	}
	if err == nil && len(blamed) > 0 {
		why += ": " + strings.Join(blamed, ", ")
	}
	return w.ended(op, errors.New(provider.Said(why)), run.GetHTMLURL())
}

func (w *Workflow) ended(op string, err error, address string) error {
	hint := "see its log, and mend what keeps it from deploying; Rota starts it anew: "
	if w.VersionInput != "" {
		hint = "see its log, and mend what keeps it from deploying; Rota starts it anew, unless you run it again first: "
	}
	return &rota.Error{System: w.Connection.system(), Connection: w.Connection.name, Op: op, Class: rota.ClassWait, Err: err, Remedies: rota.Outside(hint + provider.Said(address))}
}

// approval is what a run waits for, for people; "" if GitHub doesn't say.
func (w *Workflow) approval(ctx context.Context, run *api.WorkflowRun) string {
	list, _, err := w.Connection.api.Actions.GetPendingDeployments(w.access(read).in(ctx), w.Owner, w.Repository, run.GetID())
	var environments []string
	for _, d := range list {
		environments = append(environments, d.GetEnvironment().GetName())
	}
	if err != nil || len(environments) == 0 {
		return ""
	}
	return provider.Said("the approval of environment " + strings.Join(environments, ", ") + ": " + run.GetHTMLURL())
}

// late says that the wait is over, where that's why a look failed.
func (w *Workflow) late(ctx context.Context, op string, err error, waitsFor string) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if _, ok := errors.AsType[*rota.Error](err); ok {
			return err
		}
		return &rota.Error{System: w.Connection.system(), Connection: w.Connection.name, Op: op, Class: rota.ClassWait, Err: err}
	}
	e := &rota.Error{System: w.Connection.system(), Connection: w.Connection.name, Op: op, Class: rota.ClassWait,
		Err:      fmt.Errorf("it wasn't done within %s: %w", rota.FormatDuration(cmp.Or(w.Timeout, defaultTimeout)), ctx.Err()),
		Remedies: rota.Outside("see what it waits for at GitHub, such as a runner; if it just needs longer, raise the reloader's timeout")}
	if waitsFor != "" {
		e.Err, e.Remedies = fmt.Errorf("it waits for a person: %w", ctx.Err()), rota.Outside("give "+waitsFor)
	}
	return e
}

// escape escapes a ref for a path, but for the slashes that GitHub wants.
func escape(ref string) string {
	parts := strings.Split(ref, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(part, "%", "%25"), "#", "%23"), "?", "%3F")
	}
	return strings.Join(parts, "/")
}
