//go:build unix

package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions configure a test's Redis. The zero value keeps users in an ACL file.
type RedisOptions struct {
	// NoACLFile keeps users in the configuration file, and NoFile nowhere.
	NoACLFile, NoFile bool
	// CertFile and KeyFile, if set, make the server use TLS, on its only port.
	CertFile, KeyFile string
	// ReplicaOf is the server to replicate; nil for none.
	ReplicaOf *RedisServer
}

// RedisServer is a private Redis on 127.0.0.1. The superuser is its default user,
// who needs no password.
type RedisServer struct {
	Addr   string // host:port
	Socket string // the path of the Unix socket
	Dir    string // holds users.acl and redis.conf

	child
	options RedisOptions
	port    int
}

// Redis starts a private Redis and stops it when the test ends.
func Redis(t testing.TB, o RedisOptions) *RedisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		Missing(t, "Redis", "apt-get install redis-server")
	}
	dir, err := os.MkdirTemp("", "rota-redis-") // short, for the socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &RedisServer{Dir: dir, Socket: filepath.Join(dir, "s"), options: o, port: FreePort(t)}
	s.Addr = "127.0.0.1:" + strconv.Itoa(s.port)
	if err := os.WriteFile(filepath.Join(dir, "redis.conf"), []byte(s.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "users.acl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(s.end)
	return s
}

func (s *RedisServer) config() string {
	text := fmt.Sprintf("bind 127.0.0.1\nsave \"\"\ndir %s\nunixsocket %s\nrepl-diskless-sync-delay 0\n", s.Dir, s.Socket)
	if s.options.CertFile != "" {
		text += fmt.Sprintf("port 0\ntls-port %d\ntls-cert-file %s\ntls-key-file %s\ntls-auth-clients no\n", s.port, s.options.CertFile, s.options.KeyFile)
	} else {
		text += fmt.Sprintf("port %d\n", s.port)
	}
	if !s.options.NoACLFile && !s.options.NoFile {
		text += "aclfile " + filepath.Join(s.Dir, "users.acl") + "\n"
	}
	if s.options.ReplicaOf != nil {
		text += fmt.Sprintf("replicaof 127.0.0.1 %d\n", s.options.ReplicaOf.port)
	}
	return text
}

func (s *RedisServer) start(t testing.TB) {
	t.Helper()
	logging.Disable()
	file := filepath.Join(s.Dir, "redis.conf")
	l := launch{Name: "Redis", Program: "redis-server", Args: []string{file}, Log: s.LogFile(), Stop: "KILL", Ready: s.ping}
	if s.options.NoFile { // read from standard input, a configuration is in no file
		l.Args, l.Stdin = []string{"-"}, file
	}
	if err := s.child.start(l); err != nil {
		t.Fatal(err)
	}
}

func (s *RedisServer) ping(ctx context.Context) error {
	client := s.client()
	defer func() { _ = client.Close() }()
	return client.Ping(ctx).Err()
}

// Restart kills the server and starts it again on the same port.
func (s *RedisServer) Restart(t testing.TB) {
	t.Helper()
	s.end()
	s.start(t)
}

// Stop kills the server.
func (s *RedisServer) Stop() { s.end() }

// LogFile returns the path of the server's log.
func (s *RedisServer) LogFile() string { return filepath.Join(s.Dir, "log") }

// client logs in over the socket, which never needs TLS.
func (s *RedisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: s.Socket, Protocol: 2, DisableIdentity: true,
		DialerRetries: 1, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
}

// Do runs a command as the superuser and returns its answer.
func (s *RedisServer) Do(t testing.TB, command ...any) any {
	t.Helper()
	client := s.client()
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := client.Do(ctx, command...).Result()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return out
}
