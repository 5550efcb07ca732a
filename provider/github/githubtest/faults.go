package githubtest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

// Fault is how a request goes wrong.
type Fault string

// The faults.
const (
	FailBefore Fault = "fails before it takes effect"
	LoseReply  Fault = "acts, and its reply is lost"
	Repeat     Fault = "acts twice"
	Hang       Fault = "hangs"
)

// plan is a fault to come.
type plan struct {
	method, part string // "" for any
	skip         int    // matching requests to let pass
	fault        Fault
	answer       http.HandlerFunc // instead, if there's no fault
}

// Next makes the next request with a method and a part in its path go wrong; "" is
// any.
func (s *Server) Next(method, part string, f Fault) { s.Nth(0, method, part, f) }

// Nth makes a later request go wrong, after n others that match.
func (s *Server) Nth(n int, method, part string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans = append(s.plans, plan{method: method, part: part, skip: n, fault: f})
}

// Answer has the next request that matches answered in another way.
func (s *Server) Answer(method, part string, f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans = append(s.plans, plan{method: method, part: part, answer: f})
}

// Heal takes back all that was planned.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans = nil
}

func (s *Server) planned(r *http.Request) (plan, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	for i := range s.plans {
		p := &s.plans[i]
		if p.method != "" && p.method != r.Method || !strings.Contains(r.URL.Path, p.part) {
			continue
		}
		if p.skip--; p.skip >= 0 {
			continue
		}
		found := *p
		s.plans = slices.Delete(s.plans, i, i+1)
		return found, true
	}
	return plan{}, false
}

// faulty makes the requests that faults were planned for go wrong.
func (s *Server) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The body is read first: a handler that doesn't read it never learns that
		// the client has gone, and it can be read only once.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		p, ok := s.planned(r)
		switch {
		case ok && p.answer != nil:
			p.answer(w, r)
		case p.fault == FailBefore:
			w.WriteHeader(http.StatusServiceUnavailable)
		case p.fault == LoseReply:
			next.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusBadGateway)
		case p.fault == Repeat:
			first := r.Clone(r.Context())
			first.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(httptest.NewRecorder(), first)
			next.ServeHTTP(w, r)
		case p.fault == Hang:
			<-r.Context().Done()
		default:
			next.ServeHTTP(w, r)
		}
	})
}
