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

// maxBody is the largest request body that is read, in bytes.
const maxBody = 16 << 20

// headerTimeout is how long a client may take over a request's header.
const headerTimeout = time.Minute

// Options configure New.
type Options struct {
	// Now is the clock behind every date the server gives and every expiry it
	// simulates. It is called from many goroutines. Signatures are checked
	// against the machine's own clock, because the SDK signs by that one.
	// Defaults to time.Now.
	Now func() time.Time
	// Account is the twelve-digit account number. Defaults to 111122223333.
	Account string
	// Region goes into the ARNs. Defaults to eu-central-1.
	Region string
	// Seed makes ids, keys and random refusals repeatable. Defaults to 0, which
	// is a seed like any other.
	Seed int64
}

// Server is one AWS account. Its methods may be called from many goroutines.
type Server struct {
	account, region string
	clock           func() time.Time

	listener net.Listener
	http     *http.Server
	done     chan struct{}
	serving  sync.WaitGroup

	faultMu sync.Mutex // serialises the asking, so that a fault function may count
	faults  func(Call) Fault

	mu       sync.Mutex // guards all that follows
	rand     *rand.Rand
	calls    []*Call
	rootKey  accessKey
	users    table[user]
	roles    map[string]*role
	owners   map[string]string // access key id -> user name; a row's keys tell whether it still exists
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
	secrets  secrets // has locks of its own
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
	// Serve always ends with an error; after Close it is ErrServerClosed, and
	// before it the clients see the broken listener themselves.
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
		rand:     rand.New(rand.NewPCG(uint64(opts.Seed), 0x617773)), //nolint:gosec // a seed must give the same answers again
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

// URL is the address to give to the SDK as its base endpoint, without a
// trailing slash.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Region is the region of the server's ARNs.
func (s *Server) Region() string { return s.region }

// Account is the account number of the server's ARNs.
func (s *Server) Account() string { return s.account }

// Env are environment variables ("NAME=value") that make an AWS SDK or tool talk
// to this server with this key; the secret is in them.
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

// Close cuts all connections and ends the server. Calls that wait in a fault's
// delay are dropped. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	s.mu.Unlock()
	_ = s.http.Close() // closes the listener; its error changes nothing for the caller
	s.serving.Wait()
}

// clockStep is how precise AWS's JSON dates are.
const clockStep = time.Millisecond

// now is the server's clock in UTC.
func (s *Server) now() time.Time { return s.clock().UTC().Truncate(clockStep) }

// reply is one answer, ready to be written.
type reply struct {
	status int
	header map[string]string
	body   []byte
	code   string // error code; "" for success
}

// ServeHTTP answers one request of any service. It lets a test mount the
// server behind a listener of its own.
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

// answer acts, as far as the fault lets it, and says what to reply.
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

// act checks who calls and does what the call asks, under the one mutex.
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

// admit finds out who calls, and whether they may.
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
	_, _ = w.Write(answer.body) // a client that has gone is no concern of the server
}

// cut closes the connection without a reply, so that the client sees EOF.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // not a connection, as with a recorder: nothing is written
	}
	_ = conn.Close()
}
