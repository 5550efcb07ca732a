//go:build unix

package testenv

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PgBouncerOptions configure a test's PgBouncer.
type PgBouncerOptions struct {
	// Server is the PostgreSQL that it connects to. Required.
	Server *PostgresServer
	// Mode is how long a client keeps a connection to the server: "session" or
	// "transaction". Required.
	Mode string
	// Users are the names and passwords of its auth_file. nil makes it ask the
	// server for the verifiers, as the superuser (auth_query).
	Users map[string]string
	// Settings are more lines for its configuration, such as
	// "server_login_retry = 1".
	Settings []string
}

// PgBouncer is a private PgBouncer on 127.0.0.1.
type PgBouncer struct {
	Host string
	Port int

	dir   string
	owner *syscall.Credential // as for PostgreSQL: PgBouncer doesn't run as root either
	cmd   *exec.Cmd
	input io.Closer // closing it stops the pooler
}

// StartPgBouncer starts a private PgBouncer and stops it when the test ends.
func StartPgBouncer(t testing.TB, o PgBouncerOptions) *PgBouncer {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		Missing(t, "PgBouncer", "apt-get install pgbouncer")
	}
	b := &PgBouncer{Host: "127.0.0.1", Port: FreePort(t)}
	if b.owner, err = postgresOwner(); err != nil {
		t.Fatal(err)
	}
	if b.dir, err = os.MkdirTemp("", "rota-pgbouncer-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(b.dir) })
	b.chown(t, b.dir)
	authentication := "auth_file = " + b.path("users")
	if o.Users == nil {
		authentication = "auth_user = " + o.Server.Superuser()
	}
	b.write(t, "pgbouncer.ini", fmt.Sprintf("[databases]\n* = host=%s port=%d\n[pgbouncer]\nlisten_addr = %s\nlisten_port = %d\nunix_socket_dir =\n"+
		"auth_type = scram-sha-256\n%s\npool_mode = %s\npidfile = %s\n%s\n", o.Server.Host, o.Server.Port, b.Host, b.Port, authentication, o.Mode, b.path("pid"), strings.Join(o.Settings, "\n")))
	b.writeUsers(t, o.Users)
	b.start(t, program)
	return b
}

func (b *PgBouncer) path(name string) string { return filepath.Join(b.dir, name) }

func (b *PgBouncer) chown(t testing.TB, path string) {
	t.Helper()
	if b.owner == nil {
		return
	}
	if err := os.Chown(path, int(b.owner.Uid), int(b.owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

// write replaces a file by a new one. PgBouncer doesn't read a list of users again
// that's the same file with the same size from the same second.
func (b *PgBouncer) write(t testing.TB, name, text string) {
	t.Helper()
	next := b.path(name + ".next")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.chown(t, next)
	if err := os.Rename(next, b.path(name)); err != nil {
		t.Fatal(err)
	}
}

func (b *PgBouncer) writeUsers(t testing.TB, users map[string]string) {
	t.Helper()
	text := ""
	for name, password := range users {
		text += fmt.Sprintf("\"%s\" \"%s\"\n", name, strings.ReplaceAll(password, `"`, `""`))
	}
	b.write(t, "users", text)
}

// start runs the pooler below a shell, which stops it when the tests end, even if
// they're killed.
func (b *PgBouncer) start(t testing.TB, program string) {
	t.Helper()
	b.cmd = exec.Command("sh", "-c", `"$@" & pid=$!; cat >/dev/null; kill -KILL $pid 2>/dev/null; wait $pid`, "sh", program, b.path("pgbouncer.ini"))
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: b.owner}
	var err error
	if b.input, err = b.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(b.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.input.Close()
		_ = b.cmd.Wait()
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		conn, err := net.Dial("tcp", net.JoinHostPort(b.Host, strconv.Itoa(b.Port)))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(b.path("log"))
			t.Fatalf("PgBouncer did not start: %v\n%s", err, text)
		}
	}
}

// Log returns what the pooler has logged.
func (b *PgBouncer) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(b.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Reload replaces the auth_file and has the pooler read it again, which it does
// soon after.
func (b *PgBouncer) Reload(t testing.TB, users map[string]string) {
	t.Helper()
	b.writeUsers(t, users)
	text, err := os.ReadFile(b.path("pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
