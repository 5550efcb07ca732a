//go:build unix

package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// MySQLOptions configure a test's MySQL. The zero value is ready to use.
type MySQLOptions struct {
	// Args are additional arguments, such as --default-password-lifetime=90.
	Args []string
}

// MySQLServer is a private MySQL on 127.0.0.1 that offers TLS. It logs every
// statement and keeps a binary log, for tests that check that something is never
// in them.
type MySQLServer struct {
	mysqlServer
	CAFile string // the authority of the certificate that the server made for itself

	options MySQLOptions
	root    string // where its programs were unpacked
}

// mysqlRoot returns the folder in which hack/mysql.sh unpacked the server.
func mysqlRoot() (string, error) {
	if root := os.Getenv("ROTA_TEST_MYSQL"); root != "" {
		return root, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "rota-test", "mysql"), err
}

// NeedMySQL skips a test where there's no MySQL.
func NeedMySQL(t testing.TB) {
	t.Helper()
	root, err := mysqlRoot()
	if err == nil {
		_, err = os.Stat(filepath.Join(root, "usr/sbin/mysqld"))
	}
	if err != nil {
		Missing(t, "MySQL", "hack/mysql.sh")
	}
}

// MySQL starts a private MySQL and stops it when the test ends.
func MySQL(t testing.TB, o MySQLOptions) *MySQLServer {
	t.Helper()
	NeedMySQL(t)
	s, err := StartMySQL(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// SharedMySQL is one server for all tests of a package, started by the first test
// that needs it. TestMain stops it.
type SharedMySQL struct {
	Options MySQLOptions

	once   sync.Once
	server *MySQLServer
	err    error
}

// Get returns the server, starting it if necessary.
func (s *SharedMySQL) Get(t testing.TB) *MySQLServer {
	t.Helper()
	NeedMySQL(t)
	s.once.Do(func() { s.server, s.err = StartMySQL(s.Options) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Stop stops the server if it is running.
func (s *SharedMySQL) Stop() {
	if s.server != nil {
		s.server.Stop()
	}
}

// StartMySQL starts a private MySQL. The caller must stop it.
func StartMySQL(o MySQLOptions) (*MySQLServer, error) {
	root, err := mysqlRoot()
	if err != nil {
		return nil, err
	}
	s := &MySQLServer{options: o, root: root}
	template, err := s.template()
	if err != nil {
		return nil, fmt.Errorf("prepare MySQL's template: %w", err)
	}
	s.begin = s.start
	if err := s.place("rota-mysql-", template); err != nil {
		return nil, err
	}
	s.CAFile = filepath.Join(s.dir, "data", "ca.pem")
	return s, nil
}

// command is how the server's program is run: with the loader and the libraries
// that were unpacked beside it, because the machine's own may be older.
func (s *MySQLServer) command(args ...string) (program string, all []string, err error) {
	loaders, _ := filepath.Glob(filepath.Join(s.root, "usr/lib/*/ld-linux-*.so.*"))
	if len(loaders) == 0 {
		return "", nil, fmt.Errorf("no loader in %s", s.root)
	}
	all = append([]string{"--library-path", filepath.Dir(loaders[0]), filepath.Join(s.root, "usr/sbin/mysqld"), "--no-defaults",
		"--basedir=" + filepath.Join(s.root, "usr"), "--lc-messages-dir=" + filepath.Join(s.root, "usr/share/mysql"),
		"--plugin-dir=" + filepath.Join(s.root, "usr/lib/mysql/plugin"), "--secure-file-priv=NULL",
	}, asRoot()...)
	return loaders[0], append(all, args...), nil
}

// template returns a fresh data folder to copy. It's made once per machine, user
// and version.
func (s *MySQLServer) template() (string, error) {
	program, args, err := s.command("--version")
	if err != nil {
		return "", err
	}
	version, err := exec.Command(program, args...).Output()
	if err != nil {
		return "", err
	}
	return dataTemplate("mysql", version, func(made string) error {
		program, args, err := s.command(append([]string{"--initialize-insecure", "--datadir=" + made}, smallMySQL...)...)
		if err != nil {
			return err
		}
		if err := output(exec.Command(program, args...)); err != nil {
			return err
		}
		// Each server has an identity of its own, which it makes when it starts.
		return os.Remove(filepath.Join(made, "auto.cnf"))
	})
}

// smallMySQL keeps a server's files small: they're copied for each.
var smallMySQL = []string{"--innodb-redo-log-capacity=8M", "--innodb-buffer-pool-size=32M", "--innodb-doublewrite=OFF"}

func (s *MySQLServer) start() error {
	program, args, err := s.command(append([]string{"--datadir=" + filepath.Join(s.dir, "data"),
		"--port=" + strconv.Itoa(s.Port), "--socket=" + s.Socket, "--bind-address=127.0.0.1", "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--general-log", "--general-log-file=" + s.LogFile(), "--log-bin=" + filepath.Join(s.dir, "binlog"), "--server-id=1",
		"--mysqlx=OFF", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-flush-method=nosync", "--innodb-fast-shutdown=2",
	}, smallMySQL...)...)
	if err != nil {
		return err
	}
	db, err := s.open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return s.child.start(launch{Name: "MySQL", Program: program, Args: append(args, s.options.Args...),
		Log: filepath.Join(s.dir, "errors"), Stop: "TERM", Ready: db.PingContext})
}
