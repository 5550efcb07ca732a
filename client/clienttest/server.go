package clienttest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a [Source] that answers over HTTP as a running Rota does: at the REST API
// that package rotaserver asks, and at the endpoint for AWS's SDKs that package
// secretsmanager asks. It accepts every token and signature.
//
//	server := clienttest.NewServer()
//	defer server.Close()
//	server.Set("prod/orders-db", map[string]string{"username": "orders_a", "password": "one"})
//	… // the program is pointed at server.URL
//	server.Set("prod/orders-db", map[string]string{"username": "orders_b", "password": "two"})
//	server.Stop()
//	// and the program must go on
//
// The source's faults show as a server's: [Source.Fail] as status 503, [Source.Deny] as
// a refusal, and [Source.Delay] as a slow answer.
type Server struct {
	*Source
	// URL is where the server is, such as "http://127.0.0.1:40123".
	URL string

	mu      sync.Mutex
	running *http.Server // nil while it's stopped
	end     context.CancelFunc
	answer  http.Handler // instead of its own; nil for none
}

// NewServer starts a server without secrets on a free port of 127.0.0.1. It panics if
// there is none.
func NewServer() *Server {
	s := &Server{Source: NewSource()}
	s.listen("127.0.0.1:0")
	return s
}

// Stop cuts off all connections and refuses new ones, like a server that's down.
func (s *Server) Stop() {
	s.mu.Lock()
	running, end := s.running, s.end
	s.running = nil
	s.mu.Unlock()
	if running != nil {
		end()
		_ = running.Close()
	}
}

// Start starts a server that was stopped, on the same address. It panics if that has
// been taken in the meantime.
func (s *Server) Start() {
	s.mu.Lock()
	stopped := s.running == nil
	s.mu.Unlock()
	if stopped {
		s.listen(s.URL[len("http://"):])
	}
}

// Close stops the server for good.
func (s *Server) Close() { s.Stop() }

// Answer has the server answer everything with h from now on, such as what a proxy
// says in its place; nil ends that.
func (s *Server) Answer(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

func (s *Server) listen(address string) {
	listener, err := net.Listen("tcp", address) //nolint:noctx // it begins at once
	if err != nil {
		panic(fmt.Sprintf("clienttest: %v", err))
	}
	ctx, end := context.WithCancel(context.Background())
	running := &http.Server{Handler: s.handler(), ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	s.mu.Lock()
	s.URL, s.running, s.end = "http://"+listener.Addr().String(), running, end
	s.mu.Unlock()
	go func() { _ = running.Serve(listener) }()
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/secrets/{name}/changes", s.serveCurrent)
	mux.HandleFunc("GET /v1/secrets/{name}/value", s.serveValue)
	mux.HandleFunc("GET /v1/events", s.serveEvents)
	mux.HandleFunc("POST /{$}", s.serveAWS)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		if answer == nil {
			answer = mux
		}
		answer.ServeHTTP(w, r)
	})
}
