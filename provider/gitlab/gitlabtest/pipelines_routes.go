package gitlabtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// onPipeline registers what concerns one pipeline.
func (s *Server) onPipeline(mux *http.ServeMux, pattern string, f func(*call, *Pipeline)) {
	s.onProject(mux, pattern, "read_api", Developer, func(c *call, project *project) {
		id, _ := strconv.ParseInt(c.PathValue("pipeline"), 10, 64)
		for _, p := range project.pipelines {
			if p.ID == id {
				f(c, p)
				return
			}
		}
		c.fail(http.StatusNotFound, "404 Not found")
	})
}

func (s *Server) onProject(mux *http.ServeMux, pattern, scope string, level int, f func(*call, *project)) {
	s.handle(mux, pattern, func(c *call) {
		if p := s.project(c); p != nil && c.may(scope, level) {
			f(c, p)
		}
	})
}

func (s *Server) routePipelines(mux *http.ServeMux) {
	s.onProject(mux, "GET /api/v4/projects/{id}", "read_api", Developer, func(c *call, project *project) {
		c.answer(http.StatusOK, map[string]any{"id": project.id, "path_with_namespace": project.path, "default_branch": "main", "builds_access_level": accessLevel(project.noCI), "environments_access_level": accessLevel(project.noEnvironments)})
	})
	s.onProject(mux, "GET /api/v4/projects/{id}/pipelines", "read_api", Developer, s.listPipelines)
	s.onProject(mux, "POST /api/v4/projects/{id}/pipeline", "", Developer, func(c *call, project *project) {
		s.answerStarted(c, project, c.text("ref"), "api", c.who.Name, c.variables())
	})
	s.onPipeline(mux, "GET /api/v4/projects/{id}/pipelines/{pipeline}", func(c *call, p *Pipeline) {
		s.tick(p)
		c.answer(http.StatusOK, s.pipelineJSON(p))
	})
	s.onProject(mux, "GET /api/v4/projects/{id}/pipelines/latest", "read_api", Developer, func(c *call, project *project) {
		for _, p := range slices.Backward(project.pipelines) {
			if p.Ref == c.URL.Query().Get("ref") {
				c.answer(http.StatusOK, s.pipelineJSON(p))
				return
			}
		}
		c.fail(http.StatusForbidden, "403 Forbidden") // as GitLab has it
	})
	s.onProject(mux, "GET /api/v4/projects/{id}/repository/commits/{ref}", "read_api", Developer, func(c *call, _ *project) {
		if c.PathValue("ref") != "main" {
			c.fail(http.StatusNotFound, "404 Commit Not Found")
			return
		}
		c.answer(http.StatusOK, map[string]string{"id": "6104942438c14ec7bd21c6cd5bd995272b3faff6"})
	})
	s.onPipeline(mux, "GET /api/v4/projects/{id}/pipelines/{pipeline}/variables", func(c *call, p *Pipeline) {
		list := []map[string]string{}
		for key, value := range p.Variables {
			list = append(list, map[string]string{"key": key, "value": value})
		}
		c.answer(http.StatusOK, list)
	})
	s.onPipeline(mux, "GET /api/v4/projects/{id}/pipelines/{pipeline}/jobs", func(c *call, p *Pipeline) {
		s.tick(p)
		var list []any
		for _, j := range p.Jobs {
			list = append(list, s.jobJSON(p, j))
		}
		page(c, list)
	})
	s.onPipeline(mux, "GET /api/v4/projects/{id}/pipelines/{pipeline}/bridges", s.listBridges)
	s.onProject(mux, "GET /api/v4/projects/{id}/jobs", "read_api", Developer, s.listJobs)
	s.onProject(mux, "GET /api/v4/projects/{id}/jobs/{job}", "read_api", Developer, func(c *call, project *project) {
		if p, j := s.findJob(c, project); j != nil {
			s.tick(p)
			c.answer(http.StatusOK, s.jobJSON(p, *j))
		}
	})
	s.onProject(mux, "POST /api/v4/projects/{id}/jobs/{job}/{verb}", "", Developer, s.runJob)
	s.onProject(mux, "GET /api/v4/projects/{id}/deployments", "read_api", Developer, s.listDeployments)
	mux.HandleFunc("POST /api/v4/projects/{id}/trigger/pipeline", s.trigger)
	s.handle(mux, "GET /api/v4/groups/{id}/projects", func(c *call) {
		var list []any
		for _, p := range s.projects {
			if group := c.PathValue("id") + "/"; len(p.path) > len(group) && p.path[:len(group)] == group {
				list = append(list, map[string]any{"id": p.id, "path_with_namespace": p.path})
			}
		}
		page(c, list)
	})
}

// variables are those in the body of a request for a pipeline.
func (c *call) variables() map[string]string {
	var list []struct{ Key, Value string }
	_ = json.Unmarshal(c.body["variables"], &list)
	values := map[string]string{}
	for _, v := range list {
		values[v.Key] = v.Value
	}
	return values
}

func (s *Server) answerStarted(c *call, project *project, ref, source, user string, variables map[string]string) {
	if ref != "main" {
		c.fail(http.StatusBadRequest, map[string][]string{"base": {"Reference not found"}})
		return
	}
	p := s.begin(project, ref, source, user, variables)
	s.hurry(p)
	c.answer(http.StatusCreated, s.pipelineJSON(p))
}

func (s *Server) listPipelines(c *call, project *project) {
	q := c.URL.Query()
	if project.noCI {
		c.fail(http.StatusForbidden, "403 Forbidden")
		return
	}
	if state := q.Get("status"); s.older && (state == "canceling" || state == "waiting_for_callback") {
		c.answer(http.StatusBadRequest, map[string]string{"error": "status does not have a valid value"})
		return
	}
	if s.older {
		q.Del("created_before")
		q.Del("created_after")
	}
	var list []any
	for _, p := range slices.Backward(project.pipelines) {
		before, beforeErr := time.Parse(time.RFC3339, q.Get("created_before"))
		after, afterErr := time.Parse(time.RFC3339, q.Get("created_after"))
		if !q.Has("source") && p.Source == "parent_pipeline" || q.Has("status") && p.status() != q.Get("status") || q.Has("ref") && p.Ref != q.Get("ref") || q.Has("source") && p.Source != q.Get("source") ||
			q.Has("username") && p.User != q.Get("username") || beforeErr == nil && p.Created.After(before) || afterErr == nil && p.Created.Before(after) {
			continue
		}
		if status := p.status(); q.Get("scope") == "finished" && (status == "running" || status == "manual") {
			continue
		}
		list = append(list, s.pipelineJSON(p))
	}
	page(c, list)
}

func accessLevel(off bool) string {
	if off {
		return "disabled"
	}
	return "enabled"
}

// listBridges lists a pipeline's trigger jobs, which no other list has.
func (s *Server) listBridges(c *call, p *Pipeline) {
	var list []any
	for _, b := range p.Bridges {
		d := s.pipeline(b.Downstream)
		s.tick(d)
		list = append(list, map[string]any{"id": b.ID, "name": b.Name, "status": p.bridgeStatus(s, b), "allow_failure": b.AllowFailure, "web_url": s.URL,
			"downstream_pipeline": s.pipelineJSON(d)})
	}
	page(c, list)
}

// listJobs lists a project's jobs in some states, without trigger jobs.
func (s *Server) listJobs(c *call, project *project) {
	states := c.URL.Query()["scope[]"]
	switch {
	case project.noCI:
		c.fail(http.StatusForbidden, "403 Forbidden")
		return
	case s.older && slices.ContainsFunc(states, func(state string) bool { return state == "canceling" || state == "waiting_for_callback" }):
		c.answer(http.StatusBadRequest, map[string]string{"error": "scope does not have a valid value"})
		return
	}
	var list []any
	for _, p := range slices.Backward(project.pipelines) {
		for _, j := range p.Jobs {
			if len(states) == 0 || slices.Contains(states, j.Status) {
				list = append(list, s.jobJSON(p, j))
			}
		}
	}
	page(c, list)
}

func (s *Server) findJob(c *call, project *project) (*Pipeline, *Job) {
	id, _ := strconv.ParseInt(c.PathValue("job"), 10, 64)
	for _, p := range project.pipelines {
		for i := range p.Jobs {
			if p.Jobs[i].ID == id {
				return p, &p.Jobs[i]
			}
		}
	}
	c.fail(http.StatusNotFound, "404 Not found")
	return nil, nil
}

// runJob plays a manual job, or retries one that has ended: GitLab makes a new job
// for that.
func (s *Server) runJob(c *call, project *project) {
	p, j := s.findJob(c, project)
	if j == nil {
		return
	}
	switch verb := c.PathValue("verb"); {
	case verb == "play" && j.Status == "manual":
		j.Status = "created"
	case verb == "retry" && (j.Status == "success" || j.Status == "failed"):
		j.ID, j.Status, j.Reason, j.Variables = s.number(), "created", "", nil
	case verb == "play":
		c.fail(http.StatusBadRequest, "400 Bad request - Unplayable Job")
		return
	default:
		c.fail(http.StatusForbidden, "403 Forbidden - Job is not retryable")
		return
	}
	s.hurry(p)
	c.answer(http.StatusCreated, s.jobJSON(p, *j))
}

// hurry takes a pipeline as far as it gets, if the server is quick.
func (s *Server) hurry(p *Pipeline) {
	if s.quick {
		for range 3 * len(p.Jobs) {
			s.tick(p)
		}
	}
}

func (s *Server) listDeployments(c *call, project *project) {
	if project.noEnvironments {
		c.fail(http.StatusForbidden, "403 Forbidden")
		return
	}
	var list []any
	for _, p := range slices.Backward(project.pipelines) {
		for _, j := range p.Jobs {
			if j.Environment == "" || j.Environment != c.URL.Query().Get("environment") || j.Status == "created" || j.Status == "manual" {
				continue
			}
			list = append(list, map[string]any{"id": j.ID, "ref": p.Ref, "status": j.Status, "created_at": p.Created,
				"deployable": map[string]any{"id": j.ID, "name": j.Name, "status": j.Status, "pipeline": map[string]any{"id": p.ID, "status": p.status()}}})
		}
	}
	page(c, list)
}
