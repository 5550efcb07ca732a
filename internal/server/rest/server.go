// Package rest serves [service.Operations] as a REST API under /v1, with an
// OpenAPI 3.1 description at /v1/openapi.json.
package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/server/tracing"
	"github.com/rota-dev/rota/internal/service"
)

// Options configure the API. Open, Authenticate, Access, Feed and Version are required.
type Options struct {
	// Open returns the operations on behalf of a caller, and a function to
	// call when done with them.
	Open func(ctx context.Context, c access.Caller) (service.Operations, func(), error)
	// Authenticate says who sent a request whose body has been read.
	Authenticate func(r *http.Request, body []byte) (access.Caller, error)
	// Recheck says who sent an open request that Authenticate accepted, as they
	// are by now; accepted is what Authenticate returned. Streams and long polls
	// end with an error. Defaults to never.
	Recheck func(r *http.Request, accepted access.Caller) (access.Caller, error)
	// Hold counts a stream or a long poll of a caller until release is called, or
	// returns an [access.LimitError] if they have too many. Defaults to no limit.
	Hold func(c access.Caller) (release func(), err error)
	// RecheckEvery is how often open requests are rechecked. Defaults to a second.
	RecheckEvery time.Duration
	// Access manages principals and keys.
	Access *access.Administration
	// Feed reports events. Its Run must be running.
	Feed *Feed
	// Version is the program's.
	Version string
	// Timeout is how long an operation may take. Defaults to an hour.
	Timeout time.Duration
	// Log gets internal errors. Defaults to nothing.
	Log *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// State changes whenever the database turns out to have gone back to an older
	// state. Responses from before aren't repeated then. Defaults to never.
	State func() int
}

// maxBody is the largest request body, in bytes.
const maxBody = 1 << 20

// server is one handler's state.
type server struct {
	Options
	huma      huma.API
	responses *responseCache
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.State == nil {
		o.State = func() int { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RecheckEvery == 0 {
		o.RecheckEvery = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Hour
	}
	return o
}

// New creates the handler for everything under /v1.
func New(o Options) http.Handler {
	o = o.withDefaults()
	mux := http.NewServeMux()
	a := &server{Options: o, huma: humago.New(mux, describe(o.Version)), responses: newResponseCache(o.Now, o.State)}
	a.readRoutes()
	a.workRoutes()
	a.controlRoutes()
	a.holderRoutes()
	a.eventRoutes()
	a.accessRoutes()
	a.descriptionRoutes(mux)
	return a.authenticate(a.responses.once(unmatchedAsProblem(mux, jsonOnly(tracing.Routes(mux)))))
}

// unmatchedAsProblem answers requests that match no operation in the same form as the operations do.
func unmatchedAsProblem(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			next.ServeHTTP(w, r)
			return
		}
		none := &unrouted{header: http.Header{}}
		h.ServeHTTP(none, r)
		if allow := none.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
		}
		writeProblem(w, hinted(none.status, r.Method+" isn't allowed on this path", "see /v1/openapi.json for what is"))
	})
}

// jsonOnly refuses a body that doesn't claim to be JSON, before it's decoded.
func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.ContentLength != 0 && r.Header.Get("Content-Type") != "" && (err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json")) {
			writeProblem(w, hinted(http.StatusUnprocessableEntity, "the body's Content-Type isn't JSON", "send it with Content-Type: application/json"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hinted is a problem with the request itself, and what to do about it.
func hinted(status int, detail, instead string) *Problem {
	remedies := rota.Outside(instead)
	return problemOf(api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint.Of(remedies), Remedies: remedies})
}

// unrouted captures the multiplexer's response to such a request.
type unrouted struct {
	header http.Header
	status int
}

func (u *unrouted) Header() http.Header            { return u.header }
func (u *unrouted) WriteHeader(status int)         { u.status = status }
func (u *unrouted) Write(text []byte) (int, error) { return len(text), nil }

// describe is the head of the OpenAPI description.
func describe(version string) huma.Config {
	c := huma.DefaultConfig("Rota", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil // no "$schema" in responses
	c.RejectUnknownQueryParameters = true
	c.Info.Description = "Rota rotates credentials end to end. This API and the command line can do the same things. A secret's name is one segment of the path: prod/orders-db is prod%2Forders-db."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "A Rota key (rota_…), or an ID token from a trusted issuer."},
		"mtls":   {Type: "mutualTLS"},
	}
	c.Security = []map[string][]string{{"bearer": {}}, {"mtls": {}}}
	return c
}

// OpenPaths are the ones that need no credential: the description's.
func OpenPaths() []string { return []string{descriptionJSON, descriptionYAML} }

const descriptionJSON, descriptionYAML = "/v1/openapi.json", "/v1/openapi.yaml"

// descriptionRoutes serves the description, which is rendered once.
func (a *server) descriptionRoutes(mux *http.ServeMux) {
	page := func(path, kind string, render func() ([]byte, error)) {
		text := sync.OnceValues(render)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := text()
			if err != nil {
				writeProblem(w, a.problem(r.Context(), err))
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(body) // a client that's gone doesn't concern the server
		})
	}
	page(descriptionJSON, "application/openapi+json", func() ([]byte, error) { return json.Marshal(a.huma.OpenAPI()) })
	page(descriptionYAML, "application/openapi+yaml", a.huma.OpenAPI().YAML)
}

type callerKey struct{}

// caller is who sent the request; identify put it there.
func caller(ctx context.Context) access.Caller {
	c, _ := ctx.Value(callerKey{}).(access.Caller)
	return c
}

// authenticate authenticates the caller before anything else. The description
// is public.
func (a *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && slices.Contains(OpenPaths(), r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := readBody(w, r)
		if err != nil {
			writeProblem(w, problemOf(api.Problem{Status: http.StatusRequestEntityTooLarge, Detail: "the body is larger than 1 MiB"}))
			return
		}
		c, err := a.Authenticate(r, body)
		if err != nil {
			writeProblem(w, a.problem(r.Context(), err))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		ctx := context.WithValue(r.Context(), callerKey{}, c)
		if a.Recheck != nil {
			ctx = context.WithValue(ctx, recheckKey{}, func() (access.Caller, error) { return a.Recheck(r, c) })
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// output is a response with a document.
type output[D any] struct {
	ETag string `header:"ETag"`
	Body D
}

// read registers a read-only operation.
func read[I, D any](a *server, op huma.Operation, f func(ctx context.Context, o service.Operations, in *I) (D, error)) {
	op.Method = http.MethodGet
	op.Errors = []int{400, 401, 403, 404, 422, 429, 500}
	if _, ok := any(new(I)).(interface{ matches(string) bool }); ok {
		op.Responses = unchanged("Nothing has changed since the response whose ETag is in If-None-Match.")
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*output[D], error) {
		operations, done, err := a.Open(ctx, caller(ctx))
		if err != nil {
			return nil, a.failed(ctx, op, err)
		}
		defer done()
		doc, err := f(ctx, operations, in)
		if err != nil {
			return nil, a.failed(ctx, op, err)
		}
		out := &output[D]{Body: doc, ETag: etag(doc)}
		if c, ok := any(in).(interface{ matches(string) bool }); ok && c.matches(out.ETag) {
			return nil, notModified(out.ETag)
		}
		return out, nil
	})
}

// unchanged describes a 304.
func unchanged(description string) map[string]*huma.Response {
	return map[string]*huma.Response{"304": {Description: description}}
}

// notModified is a response without a body.
func notModified(tag string) error {
	return huma.ErrorWithHeaders(huma.Status304NotModified(), http.Header{"Etag": {tag}})
}

// write registers an operation that may change something. It continues if the
// client disconnects.
func write[I, D any](a *server, op huma.Operation, f func(ctx context.Context, o service.Operations, in *I) (D, error)) {
	if op.Method == "" {
		op.Method = http.MethodPost
	}
	op.MaxBodyBytes = maxBody
	op.Errors = []int{400, 401, 403, 404, 409, 422, 429, 500}
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string", MaxLength: new(255)},
		Description: "Repeating a request with the same key, from the same principal within a day, returns the first response again and does nothing.",
	})
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*output[D], error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Timeout)
		defer cancel()
		operations, done, err := a.Open(ctx, caller(ctx))
		if err != nil {
			return nil, a.failed(ctx, op, err)
		}
		defer done()
		doc, err := f(ctx, operations, in)
		if err != nil {
			return nil, a.failed(ctx, op, err)
		}
		return &output[D]{Body: doc}, nil
	})
}

// etag identifies a document's content, except for what changes by itself.
func etag(doc any) string {
	switch d := doc.(type) {
	case api.StatusDoc:
		d.At = time.Time{}
		d.Secrets = append([]api.StatusSecretDoc(nil), d.Secrets...)
		for i := range d.Secrets {
			d.Secrets[i].AgeSeconds = 0
		}
		doc = d
	case api.StatusSecretDoc:
		d.AgeSeconds = 0
		doc = d
	case api.GetDoc, api.PlanDoc, api.CheckDoc:
		return ""
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, errors.New("the body can't be read")
	}
	r.Body = bodyOf(body)
	return body, nil
}
