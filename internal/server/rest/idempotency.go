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

// How long responses to requests with an Idempotency-Key are kept, and how many
// of each principal: more push out the principal's own oldest.
const (
	responseTTL       = 24 * time.Hour
	maxResponses      = 2000
	maxResponseMemory = 16 << 20 // bytes, of the bodies
)

// responseCache remembers the responses to requests with an Idempotency-Key, for
// this process only: leases and the store's labels already prevent what a
// rotation must not do twice.
type responseCache struct {
	now   func() time.Time
	state func() int // see [Options.State]

	mu     sync.Mutex
	owners map[string]*responses // by principal
	swept  time.Time
}

// responses are those of one principal.
type responses struct {
	byKey map[string]*cachedResponse
	order []*cachedResponse // the oldest first
	size  int               // bytes of the bodies
}

// cachedResponse is one request's response, once done is closed.
type cachedResponse struct {
	key     string
	request [sha256.Size]byte
	rules   []access.Rule // of the caller
	state   int           // of the database, before
	at      time.Time
	done    chan struct{}
	status  int // 0 if there is none: its handler panicked
	header  http.Header
	body    []byte
}

func newResponseCache(now func() time.Time, state func() int) *responseCache {
	return &responseCache{now: now, state: state, owners: map[string]*responses{}}
}

// once carries out a request with a key only once.
func (s *responseCache) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		// A report replaces the one before: kept, they'd push out other responses.
		if key == "" || r.URL.Path == reportPath || r.Method == http.MethodGet || r.Method == http.MethodHead {
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
		a, first := s.claim(c.Principal, key, request, c.Rules)
		switch {
		case a == nil:
			w.Header().Set("Retry-After", "1")
			writeProblem(w, problemOf(api.Problem{Type: api.TypeLimited, Status: http.StatusTooManyRequests, Detail: "too many requests with an Idempotency-Key are in flight"}))
			return
		case !first:
			a.replay(w, r, request)
			return
		}
		defer s.complete(c.Principal, a)
		recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		a.header, a.body, a.status = maps.Clone(w.Header()), recorder.body.Bytes(), recorder.status
	})
}

// claim returns a key's answer, and whether the caller has to provide it. It's nil
// if the principal has too many requests in flight.
func (s *responseCache) claim(principal, key string, request [sha256.Size]byte, rules []access.Rule) (*cachedResponse, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.sweep(now)
	own := s.owners[principal]
	if own == nil {
		own = &responses{byKey: map[string]*cachedResponse{}}
		s.owners[principal] = own
	}
	own.expire(now)
	state := s.state()
	own.dropOther(state)
	if a, ok := own.byKey[key]; ok {
		return a, false
	}
	if len(own.order) >= maxResponses && !own.dropOldest() {
		return nil, false
	}
	a := &cachedResponse{key: key, request: request, rules: rules, state: state, at: now, done: make(chan struct{})}
	own.byKey[key] = a
	own.order = append(own.order, a)
	return a, true
}

// complete ends a request that claim gave to the caller.
func (s *responseCache) complete(principal string, a *cachedResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(a.done)
	own := s.owners[principal]
	if own == nil || own.byKey[a.key] != a {
		return // it took longer than responses are kept
	}
	own.size += len(a.body)
	for own.size > maxResponseMemory && own.dropOldest() {
	}
}

// sweep forgets what has expired, once a minute at most.
func (s *responseCache) sweep(now time.Time) {
	if age := now.Sub(s.swept); age >= 0 && age < time.Minute {
		return
	}
	s.swept = now
	for principal, own := range s.owners {
		if own.expire(now); len(own.order) == 0 {
			delete(s.owners, principal)
		}
	}
}

// expire drops what's too old.
func (r *responses) expire(now time.Time) {
	for len(r.order) > 0 && now.Sub(r.order[0].at) >= responseTTL {
		r.drop(0)
	}
}

// dropOther drops responses about what the database doesn't hold any more, since it went
// back to an older state.
func (r *responses) dropOther(state int) {
	for i := len(r.order) - 1; i >= 0; i-- {
		if a := r.order[i]; a.state != state && a.complete() {
			r.drop(i)
		}
	}
}

// dropOldest drops the oldest response that's complete: a request in flight would
// be carried out again. It reports false if there is none.
func (r *responses) dropOldest() bool {
	i := slices.IndexFunc(r.order, (*cachedResponse).complete)
	if i < 0 {
		return false
	}
	r.drop(i)
	return true
}

func (r *responses) drop(i int) {
	a := r.order[i]
	if a.complete() {
		r.size -= len(a.body)
	}
	delete(r.byKey, a.key)
	r.order = slices.Delete(r.order, i, i+1)
}

func (a *cachedResponse) complete() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
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
