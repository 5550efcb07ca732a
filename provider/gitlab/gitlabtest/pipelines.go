package gitlabtest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Job is one of a pipeline's jobs, or of a project's definition.
type Job struct {
	ID          int64
	Name        string
	Environment string
	Manual      bool // it waits for a person
	Stuck       bool // it runs until Finish
	Status      string
	Reason      string            // why it failed
	Variables   map[string]string // what it got when it started
}

// Pipeline is one of a project's.
type Pipeline struct {
	ID        int64
	Ref       string
	Source    string
	User      string
	Created   time.Time
	Jobs      []Job
	Bridges   []Bridge
	Variables map[string]string // given when it was made
	YAMLError string
	canceled  bool
	project   *project
}

// Bridge is a trigger job of a pipeline, which has started another one.
type Bridge struct {
	ID           int64
	Name         string
	Downstream   int64
	Depends      bool // strategy: depend, or mirror
	AllowFailure bool
}

// bridgeStatus is a trigger job's: it has succeeded as soon as its pipeline exists, unless
// it depends on that one.
func (p *Pipeline) bridgeStatus(s *Server, b Bridge) string {
	if b.Depends {
		return s.pipeline(b.Downstream).status()
	}
	return "success"
}

// Trigger gives a pipeline a trigger job that has started a pipeline, in the same project
// or in another one. It's stuck until [Server.Finish].
func (s *Server) Trigger(from int64, job, path string, depends bool) int64 {
	id := s.Start(path, "main")
	s.mu.Lock()
	defer s.mu.Unlock()
	up, down := s.pipeline(from), s.pipeline(id)
	down.Source = "pipeline"
	if up.project == down.project {
		down.Source = "parent_pipeline"
	}
	up.Bridges = append(up.Bridges, Bridge{ID: s.number(), Name: job, Downstream: id, Depends: depends})
	return id
}

// TurnOffEnvironments turns off environments in a project's settings.
func (s *Server) TurnOffEnvironments(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byPath(path).noEnvironments = true
}

// Fail lets a pipeline's running job fail.
func (s *Server) Fail(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.pipeline(id).Jobs {
		if j := &s.pipeline(id).Jobs[i]; j.Status == "running" {
			j.Status, j.Reason = "failed", "script_failure"
		}
	}
}

// RunJobs sets what every job does with its variables; an error fails it.
func (s *Server) RunJobs(run func(variables map[string]string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.job = run
}

// Start starts a pipeline as a push would. Its first job has begun, and its last
// one is stuck until [Server.Finish].
func (s *Server) Start(path, ref string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.begin(s.byPath(path), ref, "push", "ann", nil)
	p.Jobs[len(p.Jobs)-1].Stuck = true
	s.tick(p)
	return p.ID
}

// StartChild starts a pipeline as a job of another one would that doesn't wait for it.
func (s *Server) StartChild(path, ref string) int64 {
	id := s.Start(path, ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipeline(id).Source = "parent_pipeline"
	return id
}

// TurnOffCI turns off CI/CD in a project's settings. Pipelines that run go on.
func (s *Server) TurnOffCI(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byPath(path).noCI = true
}

// Finish lets stuck jobs end.
func (s *Server) Finish(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipeline(id)
	for i := range p.Jobs {
		p.Jobs[i].Stuck = false
	}
	for range 3 * len(p.Jobs) {
		s.tick(p)
	}
}

// Cancel cancels a pipeline, as a person would.
func (s *Server) Cancel(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipeline(id).canceled = true
}

// SetJobState puts a job of a project's latest pipeline into a state. One that's
// running got its variables before.
func (s *Server) SetJobState(path, name, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byPath(path)
	latest := p.pipelines[len(p.pipelines)-1]
	for i := range latest.Jobs {
		if j := &latest.Jobs[i]; j.Name == name {
			j.Status, j.Variables = state, s.jobVariables(path, j.Environment)
		}
	}
}

// Pipelines are those of a project, the oldest first.
func (s *Server) Pipelines(path string) []Pipeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Pipeline
	for _, p := range s.byPath(path).pipelines {
		one := *p
		one.Jobs = slices.Clone(p.Jobs)
		list = append(list, one)
	}
	return list
}

// SetJobs changes the jobs of pipelines to come.
func (s *Server) SetJobs(path string, jobs ...Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byPath(path).jobs = jobs
}

func (s *Server) byPath(path string) *project {
	for _, p := range s.projects {
		if p.path == path {
			return p
		}
	}
	panic("no project " + path)
}

func (s *Server) pipeline(id int64) *Pipeline {
	for _, project := range s.projects {
		for _, p := range project.pipelines {
			if p.ID == id {
				return p
			}
		}
	}
	return nil
}

func (s *Server) begin(project *project, ref, source, user string, variables map[string]string) *Pipeline {
	p := &Pipeline{ID: s.number(), Ref: ref, Source: source, User: user, Created: s.now(), Variables: variables, project: project}
	for _, job := range project.jobs {
		job.ID, job.Status = s.number(), "created"
		if job.Manual {
			job.Status = "manual"
		}
		p.Jobs = append(p.Jobs, job)
	}
	project.pipelines = append(project.pipelines, p)
	return p
}

// tick moves a pipeline on by one state of one job.
func (s *Server) tick(p *Pipeline) {
	if p.canceled {
		return
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		switch {
		case j.Status == "failed":
			return
		case j.Status == "created", j.Status == "scheduled":
			j.Status, j.Variables = "running", s.jobVariables(p.project.path, j.Environment)
			maps.Copy(j.Variables, p.Variables)
			return
		case j.Status == "running" && j.Stuck:
			return
		case j.Status == "running":
			j.Status = "success"
			if s.job != nil {
				if err := s.job(j.Variables); err != nil {
					j.Status, j.Reason = "failed", "script_failure"
				}
			}
			return
		}
	}
}

func (p *Pipeline) status() string {
	status := "success"
	if p.canceled {
		return "canceled"
	}
	if p.YAMLError != "" {
		return "failed"
	}
	for _, j := range p.Jobs {
		switch j.Status {
		case "failed":
			return "failed"
		case "created", "scheduled", "running":
			status = "running"
		case "manual":
			if status == "success" {
				status = "manual"
			}
		}
	}
	return status
}

func (s *Server) pipelineJSON(p *Pipeline) map[string]any {
	return map[string]any{"id": p.ID, "iid": p.ID, "project_id": p.project.id, "status": p.status(), "source": p.Source, "ref": p.Ref,
		"web_url": fmt.Sprintf("%s/%s/-/pipelines/%d", s.URL, p.project.path, p.ID), "created_at": p.Created, "updated_at": p.Created, "yaml_errors": p.YAMLError,
		"user": map[string]any{"username": p.User}}
}

func (s *Server) jobJSON(p *Pipeline, j Job) map[string]any {
	return map[string]any{"id": j.ID, "name": j.Name, "status": j.Status, "failure_reason": j.Reason, "ref": p.Ref, "allow_failure": false,
		"web_url": fmt.Sprintf("%s/%s/-/jobs/%d", s.URL, p.project.path, j.ID), "pipeline": map[string]any{"id": p.ID, "project_id": p.project.id, "status": p.status(), "ref": p.Ref}}
}
