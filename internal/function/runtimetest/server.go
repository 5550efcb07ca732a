// Package runtimetest simulates Lambda for tests: its runtime API on the wire,
// and the life of a function's process, which is started for the first
// invocation, reused for the next ones, and killed on a timeout. Only tests
// import it.
package runtimetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// version is the first part of every path of the runtime API.
const version = "/2018-06-01/runtime/"

// Response is an invocation's result.
type Response struct {
	// Payload is the function's result, nil if it failed.
	Payload json.RawMessage
	// ErrorType and ErrorMessage describe a failure; "" if there was none.
	ErrorType    string `json:"errorType"`
	ErrorMessage string `json:"errorMessage"`
}

// Err returns the failure, nil if there was none.
func (a Response) Err() error {
	if a.ErrorType == "" {
		return nil
	}
	return fmt.Errorf("%s: %s", a.ErrorType, a.ErrorMessage)
}

// invocation is one event being processed.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answered chan Response
}

// server is the runtime API of one process.
type server struct {
	http      *http.Server
	address   string
	pending   chan *invocation
	failed    chan Response // at startup
	done      chan struct{}
	mu        sync.Mutex
	inFlight  map[string]*invocation // by request id
	firstPoll time.Time              // when the process first asked for an event
	function  string                 // ARN
}

func newServer(functionARN string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		address: listener.Addr().String(), pending: make(chan *invocation), failed: make(chan Response, 1),
		done: make(chan struct{}), inFlight: map[string]*invocation{}, function: functionARN,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+version+"invocation/next", s.next)
	mux.HandleFunc("POST "+version+"invocation/{id}/response", s.respond)
	mux.HandleFunc("POST "+version+"invocation/{id}/error", s.fail)
	mux.HandleFunc("POST "+version+"init/error", s.initFailed)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

func (s *server) close() {
	close(s.done)
	_ = s.http.Close()
}

// next waits for an event, however long it takes.
func (s *server) next(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.firstPoll.IsZero() {
		s.firstPoll = time.Now()
	}
	s.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-s.done:
	case inv := <-s.pending:
		s.mu.Lock()
		s.inFlight[inv.id] = inv
		s.mu.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(inv.deadline.UnixMilli()))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", s.function)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		_, _ = w.Write(inv.payload)
	}
}

func (s *server) respond(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "" {
		s.reply(w, r, Response{ErrorType: "Function.ResponseError", ErrorMessage: "the response ended early"})
		return
	}
	s.reply(w, r, Response{Payload: body})
}

func (s *server) fail(w http.ResponseWriter, r *http.Request) { s.reply(w, r, failure(r)) }

// failure parses an error report.
func failure(r *http.Request) Response {
	var a Response
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil || a.ErrorType == "" {
		a = Response{ErrorType: "Function.Unknown", ErrorMessage: "the report of the error is unreadable"}
	}
	return a
}

func (s *server) initFailed(w http.ResponseWriter, r *http.Request) {
	select {
	case s.failed <- failure(r):
	default:
	}
	accepted(w)
}

func (s *server) reply(w http.ResponseWriter, r *http.Request, a Response) {
	s.mu.Lock()
	inv := s.inFlight[r.PathValue("id")]
	delete(s.inFlight, r.PathValue("id"))
	s.mu.Unlock()
	if inv == nil {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}`)
		return
	}
	inv.answered <- a
	accepted(w)
}

func accepted(w http.ResponseWriter) {
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

// invoke sends an event and waits for the response, until the process ends or
// the time is up.
func (s *server) invoke(payload []byte, id string, timeout time.Duration, ended <-chan struct{}) (Response, bool) {
	inv := &invocation{id: id, payload: payload, deadline: time.Now().Add(timeout), answered: make(chan Response, 1)}
	if inv.id == "" {
		inv.id = uuid.NewString()
	}
	out := time.After(timeout)
	pending := s.pending
	for {
		select {
		case pending <- inv:
			pending = nil
		case a := <-inv.answered:
			return a, true
		case a := <-s.failed:
			return a, false
		case <-ended:
			select {
			case a := <-inv.answered: // it responded, then exited
				return a, false
			default:
			}
			return Response{ErrorType: "Runtime.ExitError", ErrorMessage: "RequestId: " + inv.id + " Error: Runtime exited"}, false
		case <-out:
			return Response{ErrorType: "Sandbox.Timedout", ErrorMessage: "Task timed out after " + strings.TrimSuffix(timeout.String(), "0s")}, false
		}
	}
}
