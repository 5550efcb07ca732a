package awstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxBody is the largest request body that is accepted, in bytes.
const maxBody = 16 << 20

// headerTimeout is how long a client can take to send a request's header.
const headerTimeout = time.Minute

// Options configure New.
type Options struct {
	// Now is the clock behind every date the server returns and every expiry it
	// simulates. It is called concurrently. Signatures are checked against the
	// machine's own clock, because that's what the SDK signs with. Defaults to
	// time.Now.
	Now func() time.Time
	// Account is the twelve-digit account number. Defaults to 111122223333.
	Account string
	// Region goes into the ARNs. Defaults to eu-central-1.
	Region string
	// Seed makes ids, keys and random refusals reproducible. Defaults to 0,
	// which is an ordinary seed.
	Seed int64
}

// Server is one AWS account. Its methods are safe for concurrent use.
type Server struct {
	account, region string
	clock           func() time.Time

	listener net.Listener
	http     *http.Server
	done     chan struct{}
	serving  sync.WaitGroup

	faultMu sync.Mutex // serializes calls to faults, so that a fault function can keep count
	faults  func(Call) Fault

	mu       sync.Mutex // guards all fields below
	rand     *rand.Rand
	calls    []*Call
	rootKey  accessKey
	users    table[user]
	roles    map[string]*role
	owners   map[string]string // access key id -> user name; the user's row says whether the key still exists
	uses     map[string][]use  // access key id -> uses, oldest first
	lag      time.Duration     // how long a use stays unreported
	sessions map[string]*session
	rights   map[string][]string    // user name -> allowed actions
	policies map[string][]statement // ARN of a user or role -> what its policies allow
	newKeys  map[string]*newKey
	failNew  int
	report   *report
	topics   table[topic]
	params   table[parameter]
	secrets  secrets // has its own locks
	buckets  table[bucket]
}

// New starts a server on a free port of 127.0.0.1. Close stops it.
func New(opts Options) (*Server, error) {
	s := newServer(opts)
	var network net.ListenConfig
	listener, err := network.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("awstest: listen: %w", err)
	}
	s.listener = listener
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: headerTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	// Serve always returns an error: ErrServerClosed after Close. Before that,
	// clients notice the broken listener themselves.
	s.serving.Go(func() { _ = s.http.Serve(listener) })
	return s, nil
}

// newServer makes the state without a listener.
func newServer(opts Options) *Server {
	s := &Server{
		account:  opts.Account,
		region:   opts.Region,
		clock:    opts.Now,
		done:     make(chan struct{}),
		rand:     rand.New(rand.NewPCG(uint64(opts.Seed), 0x617773)), //nolint:gosec // the same seed must give the same answers
		roles:    map[string]*role{},
		owners:   map[string]string{},
		uses:     map[string][]use{},
		sessions: map[string]*session{},
		rights:   map[string][]string{},
		policies: map[string][]statement{},
		newKeys:  map[string]*newKey{},
	}
	if s.account == "" {
		s.account = "111122223333"
	}
	if s.region == "" {
		s.region = "eu-central-1"
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	s.secrets = newSecrets(s)
	s.rootKey = accessKey{id: s.newID("AKIA"), secret: s.newSecretKey(), active: true, created: s.now()}
	return s
}

// URL returns the base endpoint for the SDK, without a trailing slash.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Region returns the region in the server's ARNs.
func (s *Server) Region() string { return s.region }

// Account returns the account number in the server's ARNs.
func (s *Server) Account() string { return s.account }

// Env returns environment variables ("NAME=value") that point an AWS SDK or
// tool at this server with this key. They include the secret.
func (s *Server) Env(id, secret string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_REGION=" + s.region,
		"AWS_ACCESS_KEY_ID=" + id,
		"AWS_SECRET_ACCESS_KEY=" + secret,
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=",
		"AWS_SHARED_CREDENTIALS_FILE=",
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Close cuts all connections and stops the server. It drops calls that are
// waiting out a fault's delay. It's safe to call twice.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	s.mu.Unlock()
	_ = s.http.Close() // closes the listener; the caller can't act on its error
	s.serving.Wait()
}

// clockStep is the precision of AWS's JSON dates.
const clockStep = time.Millisecond

// now returns the server's time in UTC.
func (s *Server) now() time.Time { return s.clock().UTC().Truncate(clockStep) }

// reply is a complete answer.
type reply struct {
	status int
	header map[string]string
	body   []byte
	code   string // error code; "" for success
}

// ServeHTTP answers one request to any service. It lets a test put the server
// behind its own listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the request body cannot be read", status)
		return
	}
	x := parseRequest(r, body)
	call := s.record(x)
	fault := s.fault(*call)
	if !s.wait(fault.Delay) {
		cut(w)
		return
	}
	answer := s.answer(x, fault)
	for _, f := range x.then {
		f()
	}
	if fault.After != nil {
		fault.After()
	}
	s.settle(call, answer.code, fault.DropReply)
	if fault.DropReply {
		cut(w)
		return
	}
	s.write(w, answer)
}

// answer acts, unless the fault prevents it, and returns the reply.
func (s *Server) answer(x *exchange, fault Fault) reply {
	if fault.FailBefore != "" {
		return s.failure(x, fault.err(x.service, fault.FailBefore))
	}
	answer := s.act(x, fault.Stale)
	if fault.Repeat {
		answer = s.act(x, fault.Stale)
	}
	if fault.FailAfter != "" {
		return s.failure(x, fault.err(x.service, fault.FailAfter))
	}
	return answer
}

// act authenticates and performs the call, holding the mutex throughout.
func (s *Server) act(x *exchange, stale bool) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.err != nil {
		return s.failureLocked(x, x.err)
	}
	x.stale = stale
	if x.action != actionWebIdentity {
		if e := s.admit(x); e != nil {
			return s.failureLocked(x, e)
		}
	}
	switch x.service {
	case "s3":
		return s.s3(x)
	case "secretsmanager":
		return s.secretsManager(x)
	case "ssm":
		return s.ssm(x)
	}
	var (
		result any
		e      *apiError
	)
	switch x.service {
	case "iam":
		result, e = s.iam(x)
	case "sts":
		result, e = s.sts(x)
	case "sns":
		result, e = s.sns(x)
	default:
		e = unknownAction(x)
	}
	if e != nil {
		return s.failureLocked(x, e)
	}
	return s.success(x, result)
}

// admit identifies the caller and checks their permissions.
func (s *Server) admit(x *exchange) *apiError {
	caller, e := s.authenticate(x)
	if e != nil {
		return e
	}
	x.caller = caller
	s.recordUse(x)
	return s.authorize(x)
}

func (s *Server) write(w http.ResponseWriter, answer reply) {
	for name, value := range answer.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(answer.body)))
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // the server doesn't care if the client has gone
}

// cut closes the connection without a reply, so that the client sees EOF.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // not a connection, as with a recorder; write nothing
	}
	_ = conn.Close()
}
