package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Run is a workflow run of a repository.
type Run struct {
	ID       int64
	Workflow string // its file's name
	Title    string
	Event    string
	Ref      string
	Created  time.Time
	Attempt  int
	// Status and Conclusion are as GitHub has them.
	Status, Conclusion string
	Stuck              bool // it runs until Finish
	// Waiting is the environment that has to be approved first.
	Waiting string
	Inputs  map[string]string
	Secrets map[string]string // that it got when it was queued

	repo   *repository
	quick  bool
	failed string
}

// Workflow is one that a repository's default branch has.
type Workflow struct {
	// RunName is the title of its runs, with "{version}" for an input of that name.
	// "" is the workflow's own name.
	RunName string
	// Inputs are those that it takes.
	Inputs []string
	// Stuck runs don't end by themselves, and Waiting ones need an approval.
	Stuck   bool
	Waiting string
	// Disabled says that someone turned it off.
	Disabled bool
	// Hidden is how many looks at the list of runs don't show a new run yet.
	Hidden int
	// Quiet workflows have no workflow_dispatch.
	Quiet bool
	// Quick runs have ended at the first look.
	Quick bool
}

// SetWorkflow adds or changes a workflow.
func (s *Server) SetWorkflow(path, file string, w Workflow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workflows[path+"/"+file] = &w
}

// SetOld makes it a GitHub Enterprise Server that doesn't know return_run_details.
func (s *Server) SetOld() { s.mu.Lock(); defer s.mu.Unlock(); s.old = true }

// RunJobs sets what every run does with its secrets and inputs; an error fails it.
func (s *Server) RunJobs(run func(secrets, inputs map[string]string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.job = run
}

// Start queues a run as a push would. It runs until [Server.Finish].
func (s *Server) Start(path, status string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, name, _ := strings.Cut(path, "/")
	r := s.queue(s.find(owner, name), "ci.yml", "push", "main", nil)
	r.Stuck, r.Status = true, status
	return r.ID
}

// Finish lets a run end.
func (s *Server) Finish(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	r.Stuck, r.Waiting = false, ""
	for range 3 {
		s.tick(r)
	}
}

// Cancel cancels a run, as a person would.
func (s *Server) Cancel(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	r.Status, r.Conclusion = "completed", "cancelled"
}

// Rerun runs a run again, as a person would.
func (s *Server) Rerun(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	r.Attempt++
	r.Status, r.Conclusion, r.Secrets = "queued", "", s.values(r.repo)
}

// Runs are those of a repository, the oldest first.
func (s *Server) Runs(path string) []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Run
	for _, r := range s.runs {
		if r.repo.path() == path {
			list = append(list, *r)
		}
	}
	return list
}

func (s *Server) run(id int64) *Run {
	for _, r := range s.runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// values are the secrets of a repository and its organization.
func (s *Server) values(r *repository) map[string]string {
	all := map[string]string{}
	for _, place := range []string{"actions " + strings.ToLower(r.owner), "actions " + r.path()} {
		for _, one := range s.secrets[place] {
			all[one.Name] = one.Value
		}
	}
	return all
}

func (s *Server) queue(repo *repository, workflow, event, ref string, inputs map[string]string) *Run {
	r := &Run{ID: s.number(), Workflow: workflow, Title: workflow, Event: event, Ref: ref, Created: s.now().UTC().Truncate(time.Second), Attempt: 1, Status: "queued", Inputs: inputs, Secrets: s.values(repo), repo: repo}
	if w := s.workflows[repo.path()+"/"+workflow]; w != nil {
		r.Stuck, r.Waiting, r.quick = w.Stuck, w.Waiting, w.Quick
		if w.RunName != "" {
			r.Title = strings.ReplaceAll(w.RunName, "{version}", inputs["version"])
		}
		s.hidden[r.ID] = w.Hidden
	}
	s.runs = append(s.runs, r)
	return r
}

// tick moves a run on by one state.
func (s *Server) tick(r *Run) {
	switch {
	case r.Status == "completed":
	case r.Waiting != "":
		r.Status = "waiting"
	case r.Status == "queued", r.Status == "waiting":
		r.Status = "in_progress"
	case r.Stuck:
	default:
		r.Status, r.Conclusion = "completed", "success"
		if s.job != nil {
			if err := s.job(r.Secrets, r.Inputs); err != nil {
				r.Conclusion, r.failed = "failure", err.Error()
			}
		}
	}
}

func (s *Server) shownRun(r *Run) map[string]any {
	shown := map[string]any{
		"id": r.ID, "name": r.Workflow, "display_title": r.Title, "event": r.Event, "head_branch": r.Ref, "status": r.Status, "conclusion": nil, "run_attempt": r.Attempt,
		"created_at": r.Created.Format(time.RFC3339), "run_started_at": r.Created.Format(time.RFC3339), "html_url": s.runURL(r), "path": ".github/workflows/" + r.Workflow,
	}
	if r.Conclusion != "" {
		shown["conclusion"] = r.Conclusion
	}
	return shown
}

func (s *Server) runURL(r *Run) string {
	return fmt.Sprintf("%s/%s/actions/runs/%d", s.URL, r.repo.path(), r.ID)
}

func (s *Server) routeRuns(mux *http.ServeMux) {
	s.handle(mux, "GET repos/{owner}/{repo}/actions/runs", "actions=read", func(c *call) { s.listRuns(c, "") })
	s.handle(mux, "GET repos/{owner}/{repo}/actions/workflows/{workflow}/runs", "actions=read", func(c *call) { s.listRuns(c, c.PathValue("workflow")) })
	s.handle(mux, "GET repos/{owner}/{repo}/actions/workflows/{workflow}", "actions=read", func(c *call) {
		if w := s.workflow(c); w != nil {
			state := "active"
			if w.Disabled {
				state = "disabled_manually"
			}
			c.answer(http.StatusOK, map[string]any{"id": 1, "name": c.PathValue("workflow"), "path": ".github/workflows/" + c.PathValue("workflow"), "state": state})
		}
	})
	s.handle(mux, "POST repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches", "actions=write", s.dispatch)
	s.handle(mux, "GET repos/{owner}/{repo}/commits/{ref}", "contents=read", func(c *call) {
		if c.PathValue("ref") != "main" {
			c.fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.PathValue("ref"))
			return
		}
		c.answer(http.StatusOK, map[string]string{"sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e"})
	})
	on := func(suffix string, f func(*call, *Run)) {
		s.handle(mux, "GET repos/{owner}/{repo}/actions/runs/{run}"+suffix, "actions=read", func(c *call) {
			id, _ := strconv.ParseInt(c.PathValue("run"), 10, 64)
			r := s.run(id)
			if r == nil || r.repo != c.repo {
				c.fail(http.StatusNotFound, "Not Found")
				return
			}
			f(c, r)
		})
	}
	on("", func(c *call, r *Run) {
		s.tick(r)
		for r.quick && r.Status != "completed" {
			s.tick(r)
		}
		c.answer(http.StatusOK, s.shownRun(r))
	})
	on("/jobs", func(c *call, r *Run) {
		status := r.Status
		if status == "waiting" {
			status = "queued"
		}
		list := []any{map[string]any{"id": r.ID*10 + 1, "name": "build", "status": "completed", "conclusion": "success", "html_url": s.runURL(r) + "/job/1"}}
		deploy := map[string]any{"id": r.ID*10 + 2, "name": "deploy", "status": status, "conclusion": r.Conclusion, "html_url": s.runURL(r) + "/job/2"}
		if r.failed != "" {
			deploy["steps"] = []any{map[string]any{"name": "Check out", "status": "completed", "conclusion": "success", "number": 1}, map[string]any{"name": "Roll out", "status": "completed", "conclusion": "failure", "number": 2}}
		}
		c.answer(http.StatusOK, map[string]any{"total_count": 2, "jobs": append(list, deploy)})
	})
	on("/pending_deployments", func(c *call, r *Run) {
		list := []any{}
		if r.Waiting != "" {
			list = append(list, map[string]any{"environment": map[string]any{"name": r.Waiting}, "reviewers": []any{map[string]any{"type": "User", "reviewer": map[string]any{"login": "ann"}}}})
		}
		c.answer(http.StatusOK, list)
	})
}

func (s *Server) workflow(c *call) *Workflow {
	w := s.workflows[c.repo.path()+"/"+c.PathValue("workflow")]
	if w == nil {
		c.fail(http.StatusNotFound, "Not Found")
	}
	return w
}

func (s *Server) listRuns(c *call, workflow string) {
	q := c.URL.Query()
	list := []any{}
	for _, r := range slices.Backward(s.runs) {
		before, beforeErr := time.Parse(time.RFC3339, strings.TrimPrefix(q.Get("created"), "<="))
		if r.repo != c.repo || workflow != "" && r.Workflow != workflow || q.Has("status") && r.Status != q.Get("status") || q.Has("event") && r.Event != q.Get("event") ||
			q.Has("branch") && r.Ref != q.Get("branch") || beforeErr == nil && r.Created.After(before) {
			continue
		}
		if s.hidden[r.ID] > 0 {
			s.hidden[r.ID]--
			continue
		}
		list = append(list, s.shownRun(r))
	}
	c.answer(http.StatusOK, map[string]any{"total_count": len(list), "workflow_runs": page(c, list)})
}

func (s *Server) dispatch(c *call) {
	w := s.workflow(c)
	if w == nil {
		return
	}
	inputs := map[string]string{}
	_ = json.Unmarshal(c.body["inputs"], &inputs)
	var unexpected []string
	for name := range inputs {
		if !slices.Contains(w.Inputs, name) {
			unexpected = append(unexpected, name)
		}
	}
	_, details := c.body["return_run_details"]
	switch {
	case details && s.old:
		c.fail(http.StatusBadRequest, "Invalid request.\n\n\"return_run_details\" is not a permitted key.")
	case w.Disabled:
		c.fail(http.StatusUnprocessableEntity, "Cannot trigger a 'workflow_dispatch' on a disabled workflow")
	case w.Quiet:
		c.fail(http.StatusUnprocessableEntity, "Workflow does not have 'workflow_dispatch' trigger")
	case c.text("ref") != "main":
		c.fail(http.StatusUnprocessableEntity, "No ref found for: "+c.text("ref"))
	case len(unexpected) > 0:
		c.fail(http.StatusUnprocessableEntity, fmt.Sprintf("Unexpected inputs provided: %q", unexpected))
	default:
		r := s.queue(c.repo, c.PathValue("workflow"), "workflow_dispatch", "main", inputs)
		if !details {
			c.answer(http.StatusNoContent, nil)
			return
		}
		c.answer(http.StatusOK, map[string]any{"workflow_run_id": r.ID, "run_url": c.s.API() + "/repos/" + c.repo.path() + fmt.Sprintf("/actions/runs/%d", r.ID), "html_url": s.runURL(r)})
	}
}
