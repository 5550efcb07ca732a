//go:build unix

package testenv

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// template returns a fresh data folder to copy. It is made once per machine,
// user and version of PostgreSQL.
func (s *PostgresServer) template() (string, error) {
	version, err := exec.Command(filepath.Join(s.bin, "postgres"), "--version").Output()
	if err != nil {
		return "", err
	}
	base, err := s.cache()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(version, s.bin...))
	path := filepath.Join(base, fmt.Sprintf("postgres-%x", sum[:6]))
	if _, err := os.Stat(filepath.Join(path, "PG_VERSION")); err == nil {
		return path, nil
	}
	// Several test processes can get here at once: each makes its own, and the
	// first to rename it wins.
	mine, err := os.MkdirTemp(base, "initdb-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(mine) }()
	if err := s.chown(mine); err != nil {
		return "", err
	}
	data := filepath.Join(mine, "data")
	if err := s.run(filepath.Join(s.bin, "initdb"), "-D", data, "-U", postgresSuperuser, "-A", "trust",
		"--no-sync", "-E", "UTF8", "--locale=C", "--wal-segsize=1"); err != nil {
		return "", err
	}
	if err := os.Rename(data, path); err != nil {
		if _, stat := os.Stat(filepath.Join(path, "PG_VERSION")); stat != nil {
			return "", err
		}
	}
	return path, nil
}

// cache returns the folder of templates: in the user's own cache, or in a
// temporary folder if the server runs as another user, who can't access that
// cache.
func (s *PostgresServer) cache() (string, error) {
	if s.owner == nil {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(base, "rota-test")
		return base, os.MkdirAll(base, 0o700)
	}
	base := filepath.Join(os.TempDir(), fmt.Sprintf("rota-test-%d", s.owner.Uid))
	if err := os.Mkdir(base, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	// A folder of that name owned by another user could hold their database.
	info, err := os.Lstat(base)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || (stat.Uid != s.owner.Uid && stat.Uid != uint32(os.Getuid())) {
		return "", fmt.Errorf("%s belongs to somebody else", base)
	}
	return base, s.chown(base)
}

// folder makes a folder owned by the server's user. Its path is short because a
// Unix socket's path is limited to about 100 characters.
func (s *PostgresServer) folder(prefix string) (string, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	return dir, s.chown(dir)
}

func (s *PostgresServer) chown(path string) error {
	if s.owner == nil {
		return nil
	}
	return os.Chown(path, int(s.owner.Uid), int(s.owner.Gid))
}

// command runs a program as the server's user, in its own session, so that the
// tests can clean up first when interrupted.
func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = os.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.owner}
	return cmd
}

func (s *PostgresServer) run(name string, args ...string) error {
	if output, err := s.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, output)
	}
	return nil
}

// postgresOwner returns the user to run the server as, because PostgreSQL
// refuses to run as root.
func postgresOwner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL doesn't run as root, and there's no user postgres or nobody: run the tests as another user")
}

// findPostgres returns the folder with the newest server's programs, or "" if
// there is none.
func findPostgres() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return postgresMajor(a) - postgresMajor(b) })
		return filepath.Dir(newest)
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return ""
	}
	return filepath.Dir(path)
}

func postgresMajor(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}
