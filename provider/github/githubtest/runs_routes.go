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
