package githubtest

import (
	"fmt"
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
