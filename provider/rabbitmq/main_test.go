package rabbitmq

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

const adminPassword = "admin-canary-7Kq2Vn4Xp9Lm"

// Shared is the server of all tests of the package: it takes seconds to start. It has a
// credential validator, which sees no hash, and TLS beside its plain listeners.
var Shared = testenv.SharedRabbitMQ{Options: testenv.RabbitMQOptions{
	Lines: "credential_validator.validation_backend = rabbit_credential_validator_min_password_length\ncredential_validator.min_length = 20\n",
}}

var names atomic.Int64

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rota-rabbit-tls-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		Shared.Options.CertFile, Shared.Options.KeyFile, err = testenv.Certificate(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer Shared.Stop()
	return m.Run()
}

// admin makes Rota's user as the page says, and the settings of a connection.
func admin(t testing.TB, s *testenv.RabbitMQServer) Config {
	t.Helper()
	s.Do(t, http.MethodPut, "/users/rota", map[string]any{"password": adminPassword, "tags": "administrator"}, nil)
	return Config{URL: s.API, AMQP: s.AMQP, Username: "rota", Password: adminPassword}
}

func connect(t testing.TB, cfg Config) *Connection {
	t.Helper()
	c, err := New("mq", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// app makes a user of an application's, without a password and without a tag.
func app(t testing.TB, s *testenv.RabbitMQServer, tags ...string) string {
	t.Helper()
	name := fmt.Sprintf("app %d/ü", names.Add(1))
	s.Do(t, http.MethodPut, "/users/"+url.PathEscape(name), map[string]any{"password_hash": "", "tags": strings.Join(tags, ",")}, nil)
	s.Do(t, http.MethodPut, "/permissions/%2F/"+url.PathEscape(name), map[string]any{"configure": "", "write": ".*", "read": ".*"}, nil)
	return name
}

func one(t testing.TB, c *Connection, name string) *single {
	t.Helper()
	i, err := c.User(UserConfig{User: name})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*single)
}

func pair(t testing.TB, c *Connection, a, b string) *alternating {
	t.Helper()
	i, err := c.Alternating(AlternatingConfig{Users: [2]string{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*alternating)
}

// rotate creates, sets and tests a password.
func rotate(t testing.TB, i rota.Issuer, taken ...string) rota.Credential {
	t.Helper()
	c, err := i.Create(t.Context(), rota.CreateRequest{Taken: taken})
	if err == nil {
		err = i.Set(t.Context(), rota.SetRequest{Credential: c})
	}
	if err == nil {
		err = i.Test(t.Context(), rota.TestRequest{Credential: c})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dial is a consumer's login, which doesn't go through the provider.
func dial(s *testenv.RabbitMQServer, c rota.Credential) (*amqp.Connection, error) {
	properties := amqp.Table{"product": "shop"}
	login := &outspoken{amqp.PlainAuth{Username: c.Field(rota.FieldUsername), Password: c.Field(rota.FieldPassword)}, properties}
	return amqp.DialConfig(s.AMQP, amqp.Config{Vhost: "/", Properties: properties, SASL: []amqp.Authentication{login}})
}

// use keeps a connection open until the test ends.
func use(t testing.TB, s *testenv.RabbitMQServer, c rota.Credential) *amqp.Connection {
	t.Helper()
	conn, err := dial(s, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// wantError checks an error's class, sentinel (nil for any) and words, and that it
// names the system and holds no password.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminPassword, append(words, "rabbitmq mq: ")...)
}

// front stands before a server and lets the next call of a kind go wrong.
type front struct {
	server *testenv.RabbitMQServer
	api    *httptest.Server
	amqp   net.Listener

	mu   sync.Mutex
	op   string
	kind providertest.FaultKind
	seen bytes.Buffer // the addresses that were asked for
	sent bytes.Buffer // the bodies
	stop chan struct{}

	answers map[string]string // what's answered instead of what the server would, by path
}

// through is a connection by way of a front.
func through(t testing.TB, s *testenv.RabbitMQServer) (*Connection, *front) {
	t.Helper()
	to, err := url.Parse(s.API)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{server: s, stop: make(chan struct{})}
	if f.amqp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(to)
	f.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, next) }))
	var running sync.WaitGroup
	running.Go(func() { f.relay(&running) })
	t.Cleanup(func() {
		close(f.stop)
		_ = f.amqp.Close()
		f.api.Close()
		running.Wait()
	})
	cfg := admin(t, s)
	cfg.URL, cfg.AMQP = f.api.URL, "amqp://"+f.amqp.Addr().String()
	return connect(t, cfg), f
}

// inject is a [providertest.Inject].
func (f *front) inject(op string, kind providertest.FaultKind) bool {
	if op == "test" && kind == providertest.Repeat || op == "create" {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.kind = op, kind
	return true
}

// fault is what's to happen to a call, once.
func (f *front) fault(ops ...string) (kind providertest.FaultKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(ops, f.op) {
		kind, f.kind, f.op = f.kind, "", ""
	}
	return kind
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	_, _ = fmt.Fprintln(&f.seen, r.Method, r.RequestURI)
	f.sent.Write(body)
	f.mu.Unlock()
	ops := []string{"set", "delete", "deactivate", "reactivate"}
	if r.Method == http.MethodGet {
		ops = []string{"list"}
	}
	f.mu.Lock()
	if f.kind == providertest.Hang && f.op != "test" {
		ops = []string{f.op} // whatever it asks first
	}
	f.mu.Unlock()
	if answer := f.answers[r.URL.Path]; answer != "" && r.Method == http.MethodGet {
		_, _ = io.WriteString(w, answer)
		return
	}
	kind := f.fault(ops...)
	switch kind {
	case providertest.FailBefore:
		http.Error(w, "no", http.StatusServiceUnavailable)
		return
	case providertest.Hang:
		select {
		case <-f.stop:
		case <-r.Context().Done():
		}
		return
	case providertest.LoseReply, providertest.Repeat:
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(httptest.NewRecorder(), again)
	}
	if kind == providertest.LoseReply {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(w, r)
}

// relay passes on connections of AMQP.
func (f *front) relay(running *sync.WaitGroup) {
	for {
		client, err := f.amqp.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", strings.TrimPrefix(f.server.AMQP, "amqp://"))
		if err != nil {
			_ = client.Close()
			continue
		}
		kind := f.fault("test")
		if kind != "" && kind != providertest.Hang {
			_, _ = client.Close(), server.Close()
			continue
		}
		running.Go(func() {
			<-f.stop
			_, _ = client.Close(), server.Close()
		})
		if kind == providertest.Hang {
			continue
		}
		running.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
		running.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	}
}
