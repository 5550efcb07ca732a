//go:build unix

package testenv

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MariaDBOptions configure a test's MariaDB. The zero value is ready to use.
type MariaDBOptions struct {
	// CertFile and KeyFile, if set, make the server offer TLS.
	CertFile, KeyFile string
	// Args are additional arguments, such as --read-only.
	Args []string
}

// MariaDBServer is a private MariaDB on 127.0.0.1. It logs every statement and
// keeps a binary log, for tests that check that something is never in them.
type MariaDBServer struct {
	Host   string
	Port   int
	Socket string // the path of the Unix socket

	child
	options MariaDBOptions
	dir     string
}

// NeedMariaDB skips a test where there's no MariaDB.
func NeedMariaDB(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("mariadbd"); err != nil {
		Missing(t, "MariaDB", "apt-get install mariadb-server")
	}
}

// MariaDB starts a private MariaDB and stops it when the test ends.
func MariaDB(t testing.TB, o MariaDBOptions) *MariaDBServer {
	t.Helper()
	NeedMariaDB(t)
	s, err := StartMariaDB(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// SharedMariaDB is one server for all tests of a package, started by the first
// test that needs it. TestMain stops it.
type SharedMariaDB struct {
	Options MariaDBOptions

	once   sync.Once
	server *MariaDBServer
	err    error
}

// Get returns the server, starting it if necessary.
func (s *SharedMariaDB) Get(t testing.TB) *MariaDBServer {
	t.Helper()
	NeedMariaDB(t)
	s.once.Do(func() { s.server, s.err = StartMariaDB(s.Options) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Stop stops the server if it is running.
func (s *SharedMariaDB) Stop() {
	if s.server != nil {
		s.server.Stop()
	}
}

// StartMariaDB starts a private MariaDB. The caller must stop it.
func StartMariaDB(o MariaDBOptions) (*MariaDBServer, error) {
	template, err := mariadbTemplate()
	if err != nil {
		return nil, fmt.Errorf("prepare MariaDB's template: %w", err)
	}
	s := &MariaDBServer{Host: "127.0.0.1", options: o}
	if s.dir, err = os.MkdirTemp("", "rota-maria-"); err != nil {
		return nil, err
	}
	s.Socket = filepath.Join(s.dir, "socket")
	err = output(exec.Command("cp", "-a", template, filepath.Join(s.dir, "data")))
	if err == nil {
		s.Port, err = freePort()
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// mariadbTemplate returns a fresh data folder to copy. It's made once per machine,
// user and version.
func mariadbTemplate() (string, error) {
	version, err := exec.Command("mariadbd", "--version").Output()
	if err != nil {
		return "", err
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(version)
	path := filepath.Join(base, "rota-test", fmt.Sprintf("mariadb-%x", sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	mine, err := os.MkdirTemp(filepath.Dir(path), "making-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(mine) }()
	made := filepath.Join(mine, "made")
	args := append([]string{"--no-defaults", "--datadir=" + made, "--auth-root-authentication-method=normal", "--skip-test-db"}, asRoot()...)
	if err := output(exec.Command("mariadb-install-db", args...)); err != nil {
		return "", err
	}
	if err := os.Rename(made, path); err != nil { // another process may have been faster
		if _, stat := os.Stat(path); stat != nil {
			return "", err
		}
	}
	return path, nil
}

// asRoot lets the server run as root, which it refuses by default.
func asRoot() []string {
	if os.Getuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

func (s *MariaDBServer) start() error {
	args := append([]string{"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"),
		"--port=" + strconv.Itoa(s.Port), "--socket=" + s.Socket, "--bind-address=127.0.0.1", "--pid-file=" + filepath.Join(s.dir, "mariadb.pid"),
		"--general-log", "--general-log-file=" + s.LogFile(), "--log-bin=" + filepath.Join(s.dir, "binlog"), "--server-id=1",
		"--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", "--plugin-load-add=auth_ed25519", "--plugin-maturity=unknown",
	}, asRoot()...)
	if s.options.CertFile != "" {
		args = append(args, "--ssl-cert="+s.options.CertFile, "--ssl-key="+s.options.KeyFile)
	}
	db, err := s.open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return s.child.start(launch{Name: "MariaDB", Program: "mariadbd", Args: append(args, s.options.Args...),
		Log: filepath.Join(s.dir, "errors"), Stop: "TERM", Ready: db.PingContext})
}

// open is a pool of the superuser's sessions.
func (s *MariaDBServer) open() (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "unix", s.Socket, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Exec runs statements as the superuser, in one session.
func (s *MariaDBServer) Exec(t testing.TB, statements ...string) {
	t.Helper()
	db, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, statement := range append([]string{"SET SESSION TRANSACTION READ WRITE"}, statements...) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// LogFile returns the path of the log with every statement.
func (s *MariaDBServer) LogFile() string { return filepath.Join(s.dir, "general.log") }

// Logs returns all that the server has logged, binary logs included.
func (s *MariaDBServer) Logs(t testing.TB) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "binlog.0*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no binary log: %v", err)
	}
	var all []byte
	for _, file := range append(files, s.LogFile(), filepath.Join(s.dir, "errors")) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

// Stop stops the server and removes its folder.
func (s *MariaDBServer) Stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// Restart stops the server, ending all sessions, and starts it again on the same
// port.
func (s *MariaDBServer) Restart(t testing.TB) {
	t.Helper()
	s.end()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Pause stops the server's process, so that it hangs: it accepts connections, but
// answers nothing until Resume.
func (s *MariaDBServer) Pause(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "mariadb.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = s.pause(pid)
	}
	if err != nil {
		t.Fatal(err)
	}
}
