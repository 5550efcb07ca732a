//go:build unix

package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RabbitMQOptions configure a test's RabbitMQ. The zero value is ready to use.
type RabbitMQOptions struct {
	// CertFile and KeyFile, if set, make the server listen with TLS, too.
	CertFile, KeyFile string
	// Lines are added to rabbitmq.conf.
	Lines string
}

// RabbitMQServer is a private RabbitMQ on 127.0.0.1. Its administrator is guest, with a
// password that's long enough for every validator.
type RabbitMQServer struct {
	API, AMQP string // http://127.0.0.1:1234 of the management plugin, amqp://127.0.0.1:1235
	// The same with TLS; "" without a certificate.
	APIS, AMQPS string

	child
	dir   string
	owner *syscall.Credential
}

const rabbitmqGuest = "guest-of-this-test-alone"

// rabbitmqProgram is the server's own script. The one on the path wants to be root or
// a user rabbitmq, and has a home of its own.
const rabbitmqProgram = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// rabbitmqScript runs the server and the port mapper that it would otherwise start in
// the background and leave behind. The server takes no notice of SIGTERM for seconds.
const rabbitmqScript = `epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 & epmd=$!
` + rabbitmqProgram + ` & server=$!
trap 'kill -KILL $server $epmd; wait; exit' TERM
wait $server; kill -KILL $epmd`

// SharedRabbitMQ is one server for all tests of a package, because it takes seconds
// to start: started by the first test that needs it. TestMain stops it.
type SharedRabbitMQ struct {
	Options RabbitMQOptions

	once   sync.Once
	server *RabbitMQServer
	err    error
}

// Get returns the server, starting it if necessary.
func (s *SharedRabbitMQ) Get(t testing.TB) *RabbitMQServer {
	t.Helper()
	if _, err := exec.LookPath(rabbitmqProgram); err != nil {
		Missing(t, "RabbitMQ", "apt-get install rabbitmq-server")
	}
	s.once.Do(func() { s.server, s.err = startRabbitMQ(s.Options) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Stop stops the server if it is running.
func (s *SharedRabbitMQ) Stop() {
	if s.server != nil {
		s.server.stop()
	}
}

// RabbitMQ starts a private RabbitMQ and stops it when the test ends.
func RabbitMQ(t testing.TB, o RabbitMQOptions) *RabbitMQServer {
	t.Helper()
	s := SharedRabbitMQ{Options: o}
	t.Cleanup(s.Stop)
	return s.Get(t)
}

func startRabbitMQ(o RabbitMQOptions) (*RabbitMQServer, error) {
	s := &RabbitMQServer{}
	var err error
	if s.owner, err = postgresOwner(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "rota-rabbit-"); err != nil {
		return nil, err
	}
	if err = s.launch(o); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *RabbitMQServer) launch(o RabbitMQOptions) error {
	var ports [6]int
	if err := freePorts(ports[:]); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(s.dir, name) }
	s.AMQP, s.API = fmt.Sprintf("amqp://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	config := fmt.Sprintf("log.console = false\ndefault_pass = %s\nlisteners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n", rabbitmqGuest, ports[0], ports[1])
	files := map[string]string{"plugins": "[rabbitmq_management]."}
	if o.CertFile != "" {
		s.AMQPS, s.APIS = fmt.Sprintf("amqps://127.0.0.1:%d", ports[4]), fmt.Sprintf("https://127.0.0.1:%d", ports[5])
		config += fmt.Sprintf("listeners.ssl.1 = 127.0.0.1:%[1]d\nssl_options.certfile = %[3]s\nssl_options.keyfile = %[4]s\n"+
			"management.ssl.ip = 127.0.0.1\nmanagement.ssl.port = %[2]d\nmanagement.ssl.certfile = %[3]s\nmanagement.ssl.keyfile = %[4]s\n", ports[4], ports[5], in("cert"), in("key"))
		for name, from := range map[string]string{"cert": o.CertFile, "key": o.KeyFile} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			files[name] = string(text)
		}
	}
	files["rabbitmq.conf"] = config + o.Lines
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if s.owner != nil {
		if err := output(exec.Command("chown", "-R", fmt.Sprintf("%d:%d", s.owner.Uid, s.owner.Gid), s.dir)); err != nil {
			return err
		}
	}
	return s.start(launch{
		Name: "RabbitMQ", Program: "env", Log: in("output"), Stop: "TERM", Owner: s.owner, Ready: s.ready,
		Args: []string{
			"HOME=" + s.dir, "RUNNING_UNDER_SYSTEMD=1", // it's not, but this makes the script's process the server's
			"RABBITMQ_NODENAME=rota@localhost", "RABBITMQ_NODE_PORT=" + strconv.Itoa(ports[0]), "RABBITMQ_DIST_PORT=" + strconv.Itoa(ports[2]),
			"ERL_EPMD_PORT=" + strconv.Itoa(ports[3]), "RABBITMQ_CONFIG_FILE=" + in("rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE=" + in("none"),
			"RABBITMQ_ENABLED_PLUGINS_FILE=" + in("plugins"), "RABBITMQ_MNESIA_BASE=" + in("data"), "RABBITMQ_LOG_BASE=" + in("log"),
			"sh", "-c", rabbitmqScript,
		},
	})
}

func (s *RabbitMQServer) ready(ctx context.Context) error {
	return s.request(ctx, http.MethodGet, "/overview?columns=node", nil, nil)
}

func (s *RabbitMQServer) stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// Do sends a request to the management API as the administrator. answer may be nil.
func (s *RabbitMQServer) Do(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	if err := s.Try(method, path, body, answer); err != nil {
		t.Fatal(err)
	}
}

// Try is Do for where a failure isn't the end of the test.
func (s *RabbitMQServer) Try(method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.request(ctx, method, path, body, answer)
}

func (s *RabbitMQServer) request(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, s.API+"/api"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if body == nil {
		r.Body, r.ContentLength = nil, 0
	}
	r.SetBasicAuth("guest", rabbitmqGuest)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, said)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}

// Logs returns all that the server has logged.
func (s *RabbitMQServer) Logs(t testing.TB) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "log", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no log: %v", err)
	}
	var all []byte
	for _, file := range append(files, filepath.Join(s.dir, "output")) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}
