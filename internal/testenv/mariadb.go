//go:build unix

package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
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
	mysqlServer
	options MariaDBOptions
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
	s := &MariaDBServer{options: o}
	s.begin = s.start
	if err := s.place("rota-maria-", template); err != nil {
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
	return dataTemplate("mariadb", version, func(made string) error {
		args := append([]string{"--no-defaults", "--datadir=" + made, "--auth-root-authentication-method=normal", "--skip-test-db"}, asRoot()...)
		return output(exec.Command("mariadb-install-db", args...))
	})
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
