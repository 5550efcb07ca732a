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

// maxBody is the largest request body that is read, in bytes. A value of 64 KiB
// whose every character is escaped fits.
const maxBody = 512 << 10

// Options configure New.
type Options struct {
	// Records gives a caller's way in to the secrets; see [record.Guard].
	Records func(access.Caller) *record.Guarded
	// Authenticate says who sent a request. The body has been read. Errors that
	// wrap one of package sigv4's or of package access's get AWS's names; an
	// [*Error] is sent as it is.
	Authenticate func(r *http.Request, body []byte) (access.Caller, error)
	// Throttle, if any, says whether a call is one too many.
	Throttle func(c access.Caller, operation string) bool

	// Account is the twelve-digit account number in ARNs. Defaults to
	// 000000000000.
	Account string
	// Region goes into the ARNs. Defaults to us-east-1.
	Region string

	// Managed, if any, tells which secrets are rotated by Rota's own
	// configuration.
	Managed func(name string) bool
	// Rotate starts the rotation of a managed secret, whose new version will have
	// the token as its id. It has to return soon, and once it is durable that the
	// rotation goes on by itself; a token that it knows is the same request.
	// [rota.ErrConflict] and [rota.ErrBusy] tell that another rotation is under
	// way. Required with Managed.
	Rotate func(ctx context.Context, c access.Caller, name, token string) error
	// Rotations tells how managed secrets are rotated, a page of them at most,
	// for DescribeSecret and ListSecrets. Required with Managed.
	Rotations func(ctx context.Context, names []string) (map[string]Managed, error)
	// Functions are the rotation functions: for the ARN that a secret names,
	// the URL that takes Lambda's Invoke call.
	Functions map[string]string
	// Client calls the functions. Defaults to http.DefaultClient.
	Client *http.Client
	// Retry is the first wait after a function failed; it doubles with each of
	// the attempts. Defaults to two seconds.
	Retry time.Duration

	// Now is the clock of what no record tells the time of. Defaults to
	// time.Now.
	Now func() time.Time
	// Random is where ids and passwords come from. Defaults to crypto/rand.
	Random io.Reader
	// Log hears of what goes wrong inside. Defaults to slog.Default.
	Log *slog.Logger
}

// Server answers Secrets Manager's API. Its methods may be called at the same
// time.
type Server struct {
	opts      Options
	arnPrefix string
	rotations rotations
}

// New makes a server. Close ends the rotations that it has under way.
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

// targetPrefix is what the header X-Amz-Target begins with.
const targetPrefix = "secretsmanager."

// IsRequest tells whether a request is one for Secrets Manager, by its header.
func IsRequest(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("X-Amz-Target"), targetPrefix) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.serve(w, r)
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("X-Amzn-Requestid", s.newUUID())
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a client that has gone is no concern of the server
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

// readBody reads the whole body, once, without growing a buffer where its
// length is known.
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

// Response is what a call is answered with.
type Response struct {
	Status int
	Body   []byte // JSON
	Code   string // of the error; "" for success
}

// ErrorResponse is the answer that an error becomes.
func ErrorResponse(e *Error) Response {
	body, _ := json.Marshal(map[string]string{"__type": e.Code, "Message": e.Message}) // strings always marshal
	return Response{Status: e.Status, Body: body, Code: e.Code}
}

// Do carries out one call on behalf of a caller who is known: for servers that
// read and authenticate requests themselves.
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

// newUUID is a random id, version 4.
func (s *Server) newUUID() string {
	var b [16]byte
	s.readRandom(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
