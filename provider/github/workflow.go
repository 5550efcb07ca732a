package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	defaultTimeout = time.Hour
	defaultPoll    = 5 * time.Second
	// looksForRun is how often the list of runs is looked at for one that was started
	// without an answer that names it.
	looksForRun = 6
)

// Workflow is a reloader: a workflow run that deploys what uses the credential.
type Workflow struct {
	Reloader   string // the reloader's name in rota.yaml
	Connection *Connection
	// Owner and Repository are the repository's, without each other.
	Owner, Repository string
	// File is the name of the workflow's file, such as "deploy.yml".
	File string
	// Ref is the branch or tag.
	Ref string
	// Inputs are given to the run.
	Inputs map[string]string
	// VersionInput, if set, is an input that's given the version to be deployed. If
	// the workflow shows it in run-name, a run is recognized that was started before
	// an interruption.
	VersionInput string
	// Job is the job to wait for. By default it's the whole run.
	Job string
	// Timeout bounds a reload; an hour if it's 0.
	Timeout time.Duration
	// Poll is how often GitHub is asked how far it is; 5 s if it's 0.
	Poll time.Duration
	// NoWait says that no earlier run is waited for before the old credential is
	// retired.
	NoWait bool
}

var (
	_ rota.Reloader       = (*Workflow)(nil)
	_ rota.Preflighter    = (*Workflow)(nil)
	_ rota.HolderReporter = (*Workflow)(nil)
)

// Name implements [rota.Reloader].
func (w *Workflow) Name() string { return w.Reloader }

func (w *Workflow) access(level string) access {
	return access{owner: w.Owner, repository: w.Repository}.with(permission{"actions", level})
}

// what is the deployment for people.
func (w *Workflow) what() string {
	return "workflow " + w.File + " of " + w.Owner + "/" + w.Repository + " (" + w.Ref + ")"
}

// Reload implements [rota.Reloader]: it starts a run and waits until it has
// succeeded. Called again for a version, it starts another, unless it can tell that
// an earlier call's run is still there.
func (w *Workflow) Reload(ctx context.Context, r rota.ReloadRequest) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(w.Timeout, defaultTimeout))
	defer cancel()
	id, err := w.begin(ctx, r.Version)
	if err != nil {
		return err
	}
	return w.wait(ctx, id)
}

// begin starts a run and returns its number. GitHub's answer names it, unless the
// answer is lost or comes from an Enterprise Server that doesn't: then it's looked
// for.
func (w *Workflow) begin(ctx context.Context, version string) (int64, error) {
	before, err := w.recent(ctx)
	if err != nil {
		return 0, err
	}
	if w.VersionInput != "" {
		for _, r := range before {
			if w.marked(r, version) && !failed(r) {
				return r.GetID(), nil
			}
		}
	}
	newest := int64(0)
	if len(before) > 0 {
		newest = before[0].GetID()
	}
	id, err := w.dispatch(ctx, version)
	switch {
	case err == nil && id != 0:
		return id, nil
	case err != nil && (rota.ClassOf(err) != rota.ClassWait || ctx.Err() != nil || refused(err)):
		return 0, err
	}
	return w.look(ctx, version, newest, err)
}

// refused reports whether GitHub has turned a request down, as it does past its rate
// limits: then whatever is new isn't Rota's.
func refused(err error) bool {
	status := provider.StatusOf(err)
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout
}

// dispatch asks for a run. The number is 0 if GitHub doesn't say it.
func (w *Workflow) dispatch(ctx context.Context, version string) (int64, error) {
	inputs := map[string]any{}
	for name, value := range w.Inputs {
		inputs[name] = value
	}
	if w.VersionInput != "" {
		inputs[w.VersionInput] = version
	}
	yes := true
	body := api.CreateWorkflowDispatchEventRequest{Ref: w.Ref, Inputs: inputs, ReturnRunDetails: &yes}
	for {
		made, resp, err := w.Connection.api.Actions.CreateWorkflowDispatchEventByFileName(w.access(write).in(ctx), w.Owner, w.Repository, w.File, body)
		err = w.Connection.fail("start "+w.what(), w.access(write), resp, err)
		status := provider.StatusOf(err)
		if (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && body.ReturnRunDetails != nil && strings.Contains(err.Error(), "return_run_details") {
			body.ReturnRunDetails = nil // an older Enterprise Server
			continue
		}
		if status == http.StatusUnprocessableEntity {
			err = rota.WithRemedies(err, rota.Outside("check that the ref exists, that "+w.File+" is turned on there and has on: workflow_dispatch, and that it takes these inputs"))
		}
		return made.GetWorkflowRunID(), err
	}
}

// look finds the run that was started after the newest one before. It's the one that
// shows the version, or the only one that there is. asked is the error of the
// request that started it, if its answer was lost.
func (w *Workflow) look(ctx context.Context, version string, newest int64, asked error) (int64, error) {
	op := "find the run of " + w.what()
	for range looksForRun {
		list, err := w.recent(ctx)
		if err != nil && (rota.ClassOf(err) != rota.ClassWait || ctx.Err() != nil) {
			return 0, err
		}
		var fresh []*api.WorkflowRun
		for _, r := range list {
			if r.GetID() > newest {
				fresh = append(fresh, r)
			}
		}
		for _, r := range fresh {
			if w.VersionInput != "" && w.marked(r, version) {
				return r.GetID(), nil
			}
		}
		if len(fresh) == 1 {
			return fresh[0].GetID(), nil
		}
		if len(fresh) > 1 {
			return 0, w.Connection.refuse(op, "let run-name show an input with the version, and name it in version_input; see at GitHub whether the deployment ran: "+provider.Said(fresh[0].GetHTMLURL()),
				fmt.Errorf("%d runs were started at the same time, and GitHub doesn't say which is Rota's", len(fresh)))
		}
		if err := rota.Sleep(ctx, cmp.Or(w.Poll, defaultPoll)); err != nil {
			return 0, w.late(ctx, op, err, "")
		}
	}
	if asked != nil {
		return 0, asked
	}
	return 0, &rota.Error{System: w.Connection.system(), Connection: w.Connection.name, Op: op, Class: rota.ClassWait, Err: errors.New("GitHub took the request, but lists no run")}
}

// marked reports whether a run's title shows the version.
func (w *Workflow) marked(r *api.WorkflowRun, version string) bool {
	return version != "" && strings.Contains(r.GetDisplayTitle(), version)
}

// failed reports whether a run has ended without success.
func failed(r *api.WorkflowRun) bool {
	return r.GetStatus() == "completed" && r.GetConclusion() != "success"
}

// recent are the ref's newest runs that were asked for, the newest first.
func (w *Workflow) recent(ctx context.Context) ([]*api.WorkflowRun, error) {
	op := "list the runs of " + w.what()
	runs, resp, err := w.Connection.api.Actions.ListWorkflowRunsByFileName(w.access(read).in(ctx), w.Owner, w.Repository, w.File, &api.ListWorkflowRunsOptions{
		Event: "workflow_dispatch", Branch: w.Ref, ListOptions: api.ListOptions{PerPage: 30}})
	if err == nil && (runs == nil || runs.TotalCount == nil) {
		err = errUnreadable
	}
	if err := w.Connection.fail(op, w.access(read), resp, err); err != nil {
		return nil, err
	}
	return runs.WorkflowRuns, nil
}

// Preflight implements [rota.Preflighter]: it looks whether the workflow and the ref
// are there. It starts nothing.
func (w *Workflow) Preflight(ctx context.Context) []rota.Finding {
	check := "run " + w.what()
	one, resp, err := w.Connection.api.Actions.GetWorkflowByFileName(w.access(write).in(ctx), w.Owner, w.Repository, w.File)
	if err := w.Connection.fail("look at "+w.what(), w.access(write), resp, err); err != nil {
		return []rota.Finding{provider.Found(check, "", err)}
	}
	findings := w.Connection.expiry(resp.TokenExpiration.Time)
	if state := one.GetState(); state != "active" {
		return append(findings, provider.Found(check, "", rota.WithRemedies(errors.New("it's turned off: "+provider.Said(state)), rota.Outside("turn the workflow on at GitHub"))))
	}
	if _, err := w.recent(ctx); err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	a := w.access(read).with(permission{"contents", read})
	_, err = w.Connection.call(ctx, a, "look at "+w.Ref+" of "+a.String(), http.MethodGet, "repos/"+w.Owner+"/"+w.Repository+"/commits/"+escape(w.Ref), nil, nil)
	if status := provider.StatusOf(err); status == http.StatusNotFound || status == http.StatusUnprocessableEntity && !strings.Contains(err.Error(), "log in as App") {
		err = rota.WithRemedies(err, rota.Outside("correct the reloader's ref, or make it at GitHub"))
	}
	f := provider.Found(check, "", err)
	if status := provider.StatusOf(err); status == http.StatusForbidden || status == http.StatusUnprocessableEntity && w.Connection.app != nil && strings.Contains(err.Error(), "log in as App") {
		f.Warning = true // whether the ref exists isn't known
	}
	return append(findings, f)
}

// Holders implements [rota.HolderReporter]: runs of the repository that were queued
// before the new value was in place.
func (w *Workflow) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	if w.NoWait {
		return nil, nil
	}
	return w.Connection.runsOf(ctx, w.Owner, w.Repository, r.Since)
}
