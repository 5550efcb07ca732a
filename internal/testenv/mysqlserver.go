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
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlServer is what a private MariaDB and a private MySQL have in common.
type mysqlServer struct {
	Host   string
	Port   int
	Socket string // the path of the Unix socket

	child
	dir   string
	begin func() error // starts the program
}

// dataTemplate returns a fresh data folder to copy. It's made once per machine, user
// and version.
func dataTemplate(name string, version []byte, make func(folder string) error) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(version)
	path := filepath.Join(base, "rota-test", fmt.Sprintf("%s-%x", name, sum[:6]))
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
	if err := make(made); err != nil {
		return "", err
	}
	if err := os.Rename(made, path); err != nil { // another process may have been faster
		if _, stat := os.Stat(path); stat != nil {
			return "", err
		}
	}
	return path, nil
}

// place copies the template into a folder of the server's own, and starts it there.
func (s *mysqlServer) place(prefix, template string) (err error) {
	s.Host = "127.0.0.1"
	if s.dir, err = os.MkdirTemp("", prefix); err != nil {
		return err
	}
	s.Socket = filepath.Join(s.dir, "socket")
	err = output(exec.Command("cp", "-a", template, filepath.Join(s.dir, "data")))
	if err == nil {
		s.Port, err = freePort()
	}
	if err == nil {
		err = s.begin()
	}
	if err != nil {
		s.Stop()
	}
	return err
}

// open is a pool of the superuser's sessions.
func (s *mysqlServer) open() (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "unix", s.Socket, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Exec runs statements as the superuser, in one session.
func (s *mysqlServer) Exec(t testing.TB, statements ...string) {
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
func (s *mysqlServer) LogFile() string { return filepath.Join(s.dir, "general.log") }

// Logs returns all that the server has logged, binary logs included.
func (s *mysqlServer) Logs(t testing.TB) []byte {
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
func (s *mysqlServer) Stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// Restart stops the server, ending all sessions, and starts it again on the same
// port.
func (s *mysqlServer) Restart(t testing.TB) {
	t.Helper()
	s.end()
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
}
