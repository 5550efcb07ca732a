package providertest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// HTTPFaults makes requests to a stand-in for an API go wrong, or to a proxy in front
// of a real one. Its zero value lets all of them pass. It's safe for concurrent use.
type HTTPFaults struct {
	mu       sync.Mutex
	plans    []httpPlan
	requests []string
}

// httpPlan is what happens to one request.
type httpPlan struct {
	match  func(*http.Request) bool
	skip   int // matching requests to let pass first
	fault  FaultKind
	answer func(http.ResponseWriter, *http.Request, http.Handler) // instead of a fault
}

// Matching tells requests by their method and a part of their path, which is its end
// if it ends with $. "" is any.
func Matching(method, part string) func(*http.Request) bool {
	end, isEnd := strings.CutSuffix(part, "$")
	return func(r *http.Request) bool {
		if method != "" && r.Method != method {
			return false
		}
		if isEnd {
			return strings.HasSuffix(r.URL.Path, end)
		}
		return strings.Contains(r.URL.Path, part)
	}
}

// Next makes the next request with a method and a part of a path go wrong, as
// [Matching] has them.
func (f *HTTPFaults) Next(method, part string, kind FaultKind) {
	f.When(Matching(method, part), kind)
}

// Nth makes a later request go wrong, after n others that match.
func (f *HTTPFaults) Nth(n int, method, part string, kind FaultKind) {
	f.add(httpPlan{match: Matching(method, part), skip: n, fault: kind})
}

// When makes the next request that matches go wrong. match may read its body.
func (f *HTTPFaults) When(match func(*http.Request) bool, kind FaultKind) {
	f.add(httpPlan{match: match, fault: kind})
}

// Instead has the next request that matches handled by answer, which may pass it on.
func (f *HTTPFaults) Instead(match func(*http.Request) bool, answer func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	f.add(httpPlan{match: match, answer: answer})
}

// Answer has the next request with a method and a part of a path answered by a
// handler.
func (f *HTTPFaults) Answer(method, part string, h http.HandlerFunc) {
	f.Instead(Matching(method, part), func(w http.ResponseWriter, r *http.Request, _ http.Handler) { h(w, r) })
}

// Inject plants faults for a suite: requests has the method and the part of the path
// of each operation's request, such as "POST /keys". The request that one kind of fault
// is meant for may be another: "delete hangs".
func (f *HTTPFaults) Inject(requests map[string]string) Inject {
	return func(op string, kind FaultKind) bool {
		request, ok := requests[op+" "+string(kind)]
		if !ok {
			request, ok = requests[op]
		}
		if ok {
			method, part, _ := strings.Cut(request, " ")
			f.Next(method, part, kind)
		}
		return ok
	}
}

// Heal takes back everything that was planned.
func (f *HTTPFaults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = nil
}

// Requests are the methods and URLs, without their host, of the requests so far.
func (f *HTTPFaults) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *HTTPFaults) add(p httpPlan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = append(f.plans, p)
}

// planned takes out what was planned for a request, of which again makes copies.
func (f *HTTPFaults) planned(again func() *http.Request) httpPlan {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := again()
	f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
	for i := range f.plans {
		p := &f.plans[i]
		if !p.match(again()) {
			continue
		}
		if p.skip--; p.skip >= 0 {
			continue
		}
		found := *p
		f.plans = slices.Delete(f.plans, i, i+1)
		return found
	}
	return httpPlan{}
}

// Wrap returns a handler whose requests go wrong as planned.
func (f *HTTPFaults) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The body is read first: a handler that doesn't read it never learns that
		// the client has gone, and it can be read only once.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		again := func() *http.Request {
			c := r.Clone(r.Context())
			c.Body = io.NopCloser(bytes.NewReader(body))
			return c
		}
		p := f.planned(again)
		switch {
		case p.answer != nil:
			p.answer(w, again(), next)
		case p.fault == FailBefore:
			w.WriteHeader(http.StatusServiceUnavailable)
		case p.fault == LoseReply:
			next.ServeHTTP(httptest.NewRecorder(), again())
			w.WriteHeader(http.StatusBadGateway)
		case p.fault == Repeat:
			next.ServeHTTP(httptest.NewRecorder(), again())
			next.ServeHTTP(w, again())
		case p.fault == Hang:
			<-r.Context().Done()
		default:
			next.ServeHTTP(w, again())
		}
	})
}
