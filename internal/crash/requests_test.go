package crash

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
)

// requests stands before a stand-in for an HTTP API, and makes its requests fail.
type requests struct {
	w      *world
	system string
	// op is what a request does, in the words of an issuer's methods: create, test,
	// list, delete, deactivate or reactivate; anything else only reads.
	op   func(*http.Request) string
	next http.Handler

	mu    sync.Mutex
	lists map[string]*http.Request // those seen, by address
	past  map[string]*httptest.ResponseRecorder
}

// before starts a server that makes the requests to a stand-in fail.
func (w *world) before(standIn http.Handler, system string, op func(*http.Request) string) *httptest.Server {
	return httptest.NewServer(&requests{w: w, system: system, op: op, next: standIn, lists: map[string]*http.Request{}, past: map[string]*httptest.ResponseRecorder{}})
}

func (q *requests) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // op may read it
	c := call{q.system, q.op(r), ""}
	e := q.w.strike(c)
	p := q.w.current()
	q.w.audited(p, c)
	switch {
	case e.fails && e.lost: // of a dead process
		panic(http.ErrAbortHandler)
	case e.fails:
		rw.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	answer := q.act(c, r, body, e)
	q.w.check(c)
	if e.dies {
		p.kill()
	}
	if e.dies || e.lost {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// act has the stand-in answer a request, or remembers what it answered before the
// last write.
func (q *requests) act(c call, r *http.Request, body []byte, e effect) *httptest.ResponseRecorder {
	q.mu.Lock()
	defer q.mu.Unlock()
	ask := func(r *http.Request) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		q.next.ServeHTTP(answer, again)
		return answer
	}
	switch {
	case c.lists():
		if past := q.past[r.URL.String()]; e.stale && past != nil {
			return past
		}
		q.lists[r.URL.String()] = r.Clone(context.Background())
	case begins[c.op] != nil:
		for address, list := range q.lists {
			q.past[address] = ask(list)
		}
	}
	if e.repeat {
		ask(r)
	}
	return ask(r)
}
