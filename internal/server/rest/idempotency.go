package rest

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/access"
)

// How long responses to requests with an Idempotency-Key are kept, and how
// many.
const (
	responseTTL  = 24 * time.Hour
	maxResponses = 10_000
)

// responseCache remembers the responses to requests with an Idempotency-Key, for
// this process only: leases and the store's labels already prevent what a
// rotation must not do twice.
type responseCache struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]*cachedResponse
}

// cachedResponse is one request's response, once done is closed.
type cachedResponse struct {
	request [sha256.Size]byte
	rules   []access.Rule // of the caller
	at      time.Time
	done    chan struct{}
	status  int // 0 if there is none: its handler panicked
	header  http.Header
	body    []byte
}

func newResponseCache(now func() time.Time) *responseCache {
	return &responseCache{now: now, byKey: map[string]*cachedResponse{}}
}

// once carries out a request with a key only once.
func (s *responseCache) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if key == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > 255 {
			writeProblem(w, problemOf(api.Problem{Type: api.TypeUsage, Status: http.StatusUnprocessableEntity, Detail: "the Idempotency-Key is longer than 255 characters"}))
			return
		}
		body, err := readAll(r.Body)
		if err != nil {
			writeProblem(w, problemOf(api.Problem{Status: http.StatusBadRequest, Detail: "the body can't be read"}))
			return
		}
		r.Body = bodyOf(body)
		request := sha256.Sum256([]byte(r.Method + " " + r.URL.RequestURI() + "\n" + string(body)))
		c := caller(r.Context())
		a, first := s.claim(c.Principal+"\n"+key, request, c.Rules)
		if !first {
			a.replay(w, r, request)
			return
		}
		defer close(a.done)
		recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		a.header, a.body, a.status = maps.Clone(w.Header()), recorder.body.Bytes(), recorder.status
	})
}

// claim returns a key's answer, and whether the caller has to provide it.
func (s *responseCache) claim(id string, request [sha256.Size]byte, rules []access.Rule) (*cachedResponse, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if a, ok := s.byKey[id]; ok && now.Sub(a.at) < responseTTL {
		return a, false
	}
	for other, a := range s.byKey {
		if len(s.byKey) < maxResponses && now.Sub(a.at) < responseTTL {
			break // the map's order is random: over time all expired ones go
		}
		delete(s.byKey, other)
	}
	a := &cachedResponse{request: request, rules: rules, at: now, done: make(chan struct{})}
	s.byKey[id] = a
	return a, true
}

// allowedTo reports whether the caller still has all the rules that the first
// request was allowed by. If not, its response could be more than they may see;
// with a new key, the request is authorized again.
func (a *cachedResponse) allowedTo(c access.Caller) bool {
	return !slices.ContainsFunc(a.rules, func(r access.Rule) bool { return !slices.Contains(c.Rules, r) })
}

// replay repeats the first request's response, once there is one.
func (a *cachedResponse) replay(w http.ResponseWriter, r *http.Request, request [sha256.Size]byte) {
	if request != a.request {
		writeProblem(w, problemOf(api.Problem{Type: api.TypeUsage, Status: http.StatusUnprocessableEntity, Detail: "this Idempotency-Key was used for another request", Hint: "a new key"}))
		return
	}
	if !a.allowedTo(caller(r.Context())) {
		writeProblem(w, problemOf(api.Problem{Type: api.TypeConflict, Status: http.StatusConflict, Detail: "rules of the caller were revoked since the first request with this Idempotency-Key", Hint: "a new key"}))
		return
	}
	select {
	case <-r.Context().Done():
		return
	case <-a.done:
	}
	if a.status == 0 {
		writeProblem(w, problemOf(api.Problem{Type: api.TypeFailed, Status: http.StatusInternalServerError, Detail: "the first request with this Idempotency-Key had no answer"}))
		return
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) //nolint:gosec // it's JSON, as the first time; a client that's gone doesn't concern the server
}

// recorder keeps the response.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}
