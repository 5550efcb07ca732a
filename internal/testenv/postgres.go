//go:build unix

package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions configure a test's PostgreSQL. The zero value is ready to
// use.
type PostgresOptions struct {
	// LogStatements logs every statement, for tests that check that something
	// is never logged.
	LogStatements bool
	// Fsync makes commits durable, as on a real server. Defaults to off.
	Fsync bool
	// CertFile and KeyFile, if set, make the server use TLS.
	CertFile, KeyFile string
	// HBA are lines that precede the default ones in pg_hba.conf, which trust
	// the superuser and require a scram-sha-256 password from everyone else.
	HBA []string
	// Settings are additional settings, such as max_connections.
	Settings map[string]string
}

// PostgresServer is a private PostgreSQL on 127.0.0.1.
type PostgresServer struct {
	Host   string
	Port   int
	Socket string // the folder of the Unix socket

	child
	options PostgresOptions
	bin     string
	dir     string
	owner   *syscall.Credential // nil if the server runs as the tests' own user
}

const postgresSuperuser = "postgres"

func needPostgres(t testing.TB, o PostgresOptions) {
	t.Helper()
	if bin, how := findPostgres(o.CertFile != ""); bin == "" {
		Missing(t, "PostgreSQL", how)
	}
}

// Postgres starts a private PostgreSQL and stops it when the test ends.
func Postgres(t testing.TB, o PostgresOptions) *PostgresServer {
	t.Helper()
	needPostgres(t, o)
	s, err := StartPostgres(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// SharedPostgres is one server for all tests of a package, started by the first
// test that needs it. TestMain stops it:
//
//	var shared testenv.SharedPostgres
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		shared.Stop()
//		os.Exit(code)
//	}
type SharedPostgres struct {
	Options PostgresOptions

	once   sync.Once
	server *PostgresServer
	err    error
}

// Get returns the server, starting it if necessary.
func (s *SharedPostgres) Get(t testing.TB) *PostgresServer {
	t.Helper()
	needPostgres(t, s.Options)
	s.once.Do(func() { s.server, s.err = StartPostgres(s.Options) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Stop stops the server if it is running.
func (s *SharedPostgres) Stop() {
	if s.server != nil {
		s.server.Stop()
	}
}

// StartPostgres starts a private PostgreSQL. The caller must stop it.
func StartPostgres(o PostgresOptions) (*PostgresServer, error) {
	bin, how := findPostgres(o.CertFile != "")
	if bin == "" {
		return nil, fmt.Errorf("no PostgreSQL here; %s installs it", how)
	}
	s := &PostgresServer{Host: "127.0.0.1", options: o, bin: bin}
	var err error
	if s.owner, err = postgresOwner(); err != nil {
		return nil, err
	}
	if s.bin, err = s.copyPrograms(); err != nil {
		return nil, fmt.Errorf("copy PostgreSQL's programs: %w", err)
	}
	template, err := s.template()
	if err != nil {
		return nil, fmt.Errorf("prepare PostgreSQL's template: %w", err)
	}
	if s.dir, err = s.folder("rota-pg-"); err != nil {
		return nil, err
	}
	s.Socket = s.dir
	if err := s.prepare(template); err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	if s.Port, err = freePort(); err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	if err := s.start(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// prepare populates the server's folder.
func (s *PostgresServer) prepare(template string) error {
	if err := s.run("cp", "-a", template, filepath.Join(s.dir, "data")); err != nil {
		return err
	}
	hba := slices.Concat(s.options.HBA, []string{
		"local all " + postgresSuperuser + " trust",
		"host all " + postgresSuperuser + " 127.0.0.1/32 trust",
		"local all all scram-sha-256",
		"host all all 127.0.0.1/32 scram-sha-256",
		"host all all ::1/128 scram-sha-256", "",
	})
	if err := s.write(filepath.Join("data", "pg_hba.conf"), strings.Join(hba, "\n")); err != nil {
		return err
	}
	for name, source := range map[string]string{"server.crt": s.options.CertFile, "server.key": s.options.KeyFile} {
		if source == "" {
			continue
		}
		content, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := s.write(name, string(content)); err != nil {
			return err
		}
	}
	return nil
}

// write creates a file owned by the server's user.
func (s *PostgresServer) write(name, content string) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return s.chown(path)
}

func (s *PostgresServer) start() error {
	settings := map[string]string{
		"port": strconv.Itoa(s.Port), "listen_addresses": "localhost", "unix_socket_directories": s.Socket,
		"fsync": onOff(s.options.Fsync), "log_line_prefix": "%m [%p] %u@%d ", "log_connections": "on",
		"log_statement": "none", "max_connections": "100",
		"ssl":           onOff(s.options.CertFile != ""),
		"ssl_cert_file": filepath.Join(s.dir, "server.crt"), "ssl_key_file": filepath.Join(s.dir, "server.key"),
	}
	if s.options.LogStatements {
		settings["log_statement"] = "all"
		settings["log_min_error_statement"] = "error"
	}
	maps.Copy(settings, s.options.Settings)
	args := []string{"-D", filepath.Join(s.dir, "data")}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return s.child.start(launch{Name: "PostgreSQL", Program: filepath.Join(s.bin, "postgres"), Args: args,
		Log: s.LogFile(), Stop: "INT", Owner: s.owner, Ready: s.ready})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// ready asks whether the superuser can log in.
func (s *PostgresServer) ready(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN())
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Stop stops the server and removes its folder.
func (s *PostgresServer) Stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// Restart stops the server, ending all sessions, and starts it again on the
// same port.
func (s *PostgresServer) Restart(t testing.TB) {
	t.Helper()
	s.end()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// PID returns the process ID of the postmaster, the parent of all other server
// processes.
func (s *PostgresServer) PID(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// Pause stops every process of the server, so that it hangs: it accepts
// connections, but answers nothing until Resume.
func (s *PostgresServer) Pause(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(ctx)
	if err := s.pause(append(pids, s.PID(t))...); err != nil {
		t.Fatal(err)
	}
}

// DSN returns the superuser's DSN, which needs no password.
func (s *PostgresServer) DSN() string { return s.DatabaseDSN("postgres") }

// DatabaseDSN returns the superuser's DSN for another database.
func (s *PostgresServer) DatabaseDSN(database string) string {
	return fmt.Sprintf("postgres://%s@%s:%d/%s?sslmode=disable", postgresSuperuser, s.Host, s.Port, url.PathEscape(database))
}

// Superuser returns the superuser's name.
func (s *PostgresServer) Superuser() string { return postgresSuperuser }

// Psql returns the path of the server's own psql.
func (s *PostgresServer) Psql() string { return filepath.Join(s.bin, "psql") }

// Version returns the server's version as a number, such as 180006 for 18.6.
func (s *PostgresServer) Version(t testing.TB) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var version int
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// LogFile returns the path of the server's log.
func (s *PostgresServer) LogFile() string { return filepath.Join(s.dir, "log") }

// Exec runs statements as the superuser.
func (s *PostgresServer) Exec(t testing.TB, statements ...string) {
	t.Helper()
	s.ExecIn(t, "postgres", statements...)
}

// ExecIn runs statements as the superuser in another database.
func (s *PostgresServer) ExecIn(t testing.TB, database string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DatabaseDSN(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// NewDatabase makes a database for one test and returns the superuser's DSN for
// it. The database is dropped when the test ends.
func (s *PostgresServer) NewDatabase(t testing.TB) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	s.Exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.Exec(t, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return s.DatabaseDSN(name)
}

// freePorts fills in ports that are free on 127.0.0.1.
func freePorts(ports []int) (err error) {
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return err
		}
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
