package clienttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/rotation"
)

// serveCurrent says which version is the current one.
func (s *Server) serveCurrent(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	v, err := s.Fetch(r.Context(), client.Request{Secret: name})
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, http.StatusOK, api.CurrentDoc{Secret: name, Version: v.Version()})
}

// serveValue answers with a value: the current one, or the one before.
func (s *Server) serveValue(w http.ResponseWriter, r *http.Request) {
	name, label := r.PathValue("name"), rota.LabelCurrent
	if r.URL.Query().Get("label") == string(rota.LabelPrevious) {
		label = rota.LabelPrevious
	}
	v, err := s.Fetch(r.Context(), client.Request{Secret: name, Previous: label == rota.LabelPrevious})
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, http.StatusOK, api.GetDoc{Secret: name, Version: v.Version(), Labels: []rota.Label{label}, Fields: v.Fields()})
}

// serveEvents streams the promotions.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	out, number, begun := http.NewResponseController(w), 0, false
	write := func(event string, doc any) {
		text, _ := json.Marshal(doc) // these documents can't fail
		number++
		_, _ = fmt.Fprintf(w, "event: %s\nid: %d\ndata: %s\n\n", event, number, text)
		_ = out.Flush()
	}
	err := s.Push(r.Context(), func(name string) {
		switch {
		case name != "":
			write("entry", api.Event{At: time.Now(), Actor: "clienttest", Secret: name, Step: string(rota.StepPromote), Outcome: rotation.OutcomeSucceeded})
		case begun:
			panic(http.ErrAbortHandler) // it missed something; a client that connects again asks for everything
		default:
			begun = true
			w.Header().Set("Content-Type", "text/event-stream")
			write("heartbeat", api.Heartbeat{At: time.Now()})
		}
	})
	if !begun {
		problem(w, err)
		return
	}
	panic(http.ErrAbortHandler) // cut off
}

// problem answers with a refusal.
func problem(w http.ResponseWriter, err error) {
	p := api.Problem{Type: api.TypeFailed, Title: "failed", Status: http.StatusServiceUnavailable, Detail: err.Error()}
	switch {
	case errors.Is(err, client.ErrNotFound):
		p.Type, p.Title, p.Status = api.TypeNotFound, "not found", http.StatusNotFound
	case errors.Is(err, client.ErrDenied):
		p.Type, p.Title, p.Status = api.TypeDenied, "not allowed", http.StatusForbidden
	}
	answer(w, p.Status, p)
}

func answer(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}
