package secretsmanager

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
)

// maxBody is the largest accepted request body, in bytes. It fits a 64 KiB
// value in which every character is escaped.
const maxBody = 512 << 10

// Options configure New.
type Options struct {
	// Records returns a caller's access to the secrets; see [record.Guard].
	Records func(access.Caller) *record.Guarded
	// Authenticate returns who sent a request whose body has been read. Errors
	// that wrap one of package sigv4's or package access's get AWS's codes; an
	// [*Error] is sent unchanged.
	Authenticate func(r *http.Request, body []byte) (access.Caller, error)
	// Throttle, if set, reports whether to reject a call as one too many.
	Throttle func(c access.Caller, operation string) bool

	// Account is the twelve-digit account number in ARNs. Defaults to
	// 000000000000.
	Account string
	// Region is the region in ARNs. Defaults to us-east-1.
	Region string

	// Managed, if set, reports which secrets Rota's own configuration rotates.
	Managed func(name string) bool
	// Rotate starts the rotation of a managed secret, whose new version gets
	// the token as its id. It must return soon, and only once it's durable that
	// the rotation will continue by itself. A known token is the same request.
	// The error is [rota.ErrConflict] or [rota.ErrBusy] if another rotation is
	// in progress. Required with Managed.
	Rotate func(ctx context.Context, c access.Caller, name, token string) error
	// Rotations returns how managed secrets are rotated, at most a page of
	// them, for DescribeSecret and ListSecrets. Required with Managed.
	Rotations func(ctx context.Context, names []string) (map[string]Managed, error)
	// Reads, if set, is called before a caller gets a version of a managed secret.
	// After an error they don't.
	Reads func(ctx context.Context, c access.Caller, name, version string) error
	// Functions maps the ARNs of rotation functions to the URLs that accept
	// Lambda's Invoke call.
	Functions map[string]string
	// Client calls the functions. Defaults to http.DefaultClient.
	Client *http.Client
	// Retry is the delay after a function's first failure; it doubles with each
	// attempt. Defaults to two seconds.
	Retry time.Duration

	// Tokens seals the NextTokens of lists. Replicas must share its key. Defaults
	// to a key of this process.
	Tokens TokenSealer

	// Now is the clock for what isn't dated by a record. Defaults to time.Now.
	Now func() time.Time
	// Random is the source of ids and passwords. Defaults to crypto/rand.
	Random io.Reader
	// Log gets internal errors. Defaults to slog.Default.
	Log *slog.Logger
}

// Server serves Secrets Manager's API. Its methods are safe for concurrent use.
type Server struct {
	opts      Options
	arnPrefix string
	rotations rotations
}

// New creates a server. Close stops its rotations.
func New(o Options) *Server {
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Tokens == nil {
		o.Tokens = ProcessTokens()
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Retry <= 0 {
		o.Retry = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{opts: o, arnPrefix: "arn:aws:secretsmanager:" + o.Region + ":" + o.Account + ":secret:"}
	s.rotations.ctx, s.rotations.stop = context.WithCancel(context.Background())
	return s
}

// targetPrefix is the prefix of the X-Amz-Target header.
const targetPrefix = "secretsmanager."

// IsRequest reports whether a request is for Secrets Manager, by its header.
func IsRequest(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.serve(w, r)
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("X-Amzn-Requestid", s.newUUID())
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a client that's gone doesn't concern the server
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) Response {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if !ok || r.Method != http.MethodPost {
		return ErrorResponse(errUnknownOperation(operation))
	}
	body, err := readBody(w, r)
	if err != nil {
		return ErrorResponse(s.explain(operation, err))
	}
	caller, err := s.opts.Authenticate(r, body)
	if errors.Is(err, access.ErrUnauthenticated) && r.Header.Get("Authorization") == "" {
		return ErrorResponse(newError("MissingAuthenticationTokenException", "Missing Authentication Token"))
	}
	if err != nil {
		return ErrorResponse(s.explain(operation, err))
	}
	if s.opts.Throttle != nil && s.opts.Throttle(caller, operation) {
		return ErrorResponse(errThrottled())
	}
	return s.Do(r.Context(), caller, operation, body)
}

// readBody reads the whole body at once, without growing a buffer if its length
// is known.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if n := r.ContentLength; n >= 0 && n <= maxBody {
		body := make([]byte, n)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, errSerialization("The request body cannot be read.")
		}
		return body, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large || r.ContentLength > maxBody {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLargeException", Message: "The request body is too large."}
	}
	if err != nil {
		return nil, errSerialization("The request body cannot be read.")
	}
	return body, nil
}

// Response is the response to a call.
type Response struct {
	Status int
	Body   []byte // JSON
	Code   string // the error's code; "" for success
}

// ErrorResponse is the response for an error.
func ErrorResponse(e *Error) Response {
	body, _ := json.Marshal(map[string]string{"__type": e.Code, "Message": e.Message}) // strings always marshal
	return Response{Status: e.Status, Body: body, Code: e.Code}
}

// Do carries out one call for a known caller, for servers that read and
// authenticate requests themselves.
func (s *Server) Do(ctx context.Context, c access.Caller, operation string, body []byte) Response {
	run, ok := operations[operation]
	if !ok {
		return ErrorResponse(errUnknownOperation(operation))
	}
	trace.SpanFromContext(ctx).SetName(targetPrefix + operation)
	result, err := run(ctx, s, s.opts.Records(c), body)
	if err != nil {
		return ErrorResponse(s.explain(operation, err))
	}
	out, err := json.Marshal(result)
	if err != nil {
		return ErrorResponse(s.explain(operation, err))
	}
	return Response{Status: http.StatusOK, Body: out}
}

// newUUID returns a random UUID, version 4. Like crypto/rand itself, it crashes if
// there are no random numbers.
func (s *Server) newUUID() string {
	var b [16]byte
	if _, err := io.ReadFull(s.opts.Random, b[:]); err != nil {
		panic("secretsmanager: no random numbers: " + err.Error())
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
