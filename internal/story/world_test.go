package story

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rota-dev/rota/internal/testenv"
)

// world is two databases, a host and the program's folder.
type world struct {
	t      *testing.T
	dir    string // also the host's folder, /etc/orders on the page
	orders *testenv.PostgresServer
	other  *testenv.PostgresServer // with the settings
	host   *testenv.SSHServer
	cable  *cable // to the host
	last   string // what the program printed
}

// login is what a consumer logs in with.
type login struct{ user, password string }

// in is the world for a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}

const adminPassword = "admin-story-5Rz8"

// The stand-ins on the host. While slow exists, the reload doesn't end.
const (
	sudo      = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do\n\tcase $1 in -l) exit 0 ;; esac\n\tshift\ndone\nshift\nexec \"$@\"\n"
	systemctl = `#!/bin/sh
echo "$*" >>%[1]s/systemctl.log
[ "$*" = "reload orders" ] || exit 2
while [ -e %[1]s/slow ]; do sleep 0.05; done
[ ! -e %[1]s/ill ] || { echo "the application is ill" >&2; exit 1; }
. %[1]s/db.env
export PGPASSWORD="$DB_PASSWORD"
exec %[2]s -X -h %[3]s -p %[4]d -U "$DB_USER" -c 'SELECT count(*) FROM orders' orders
`
)

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir}
	page, err := os.ReadFile("../../docs/database-password.md")
	if err != nil {
		t.Fatal(err)
	}
	w.orders, w.other = testenv.Postgres(t, testenv.PostgresOptions{}), testenv.Postgres(t, testenv.PostgresOptions{})
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	w.put("bin/sudo", sudo, 0o755)
	w.put("bin/systemctl", fmt.Sprintf(systemctl, dir, w.orders.Psql(), w.orders.Host, w.orders.Port), 0o755)
	w.host = testenv.SSHD(t, testenv.SSHOptions{Path: bin})
	w.cable = newCable(t, w.host.Addr)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	statements := blocks(t, string(page), "sql", 2)
	for i, s := range []*testenv.PostgresServer{w.orders, w.other} {
		database := []string{"orders", "settings"}[i]
		s.Exec(t, "CREATE DATABASE "+database)
		s.ExecIn(t, database, strings.ReplaceAll(statements[i], "…", adminPassword))
	}
	w.put("rota.yaml", strings.NewReplacer(
		"host: db.internal", "host: 127.0.0.1, port: "+strconv.Itoa(w.orders.Port), "host: settings.internal", "host: 127.0.0.1, port: "+strconv.Itoa(w.other.Port),
		"web-1.internal", w.cable.addr, "user: rota\n", "user: "+w.host.User+"\n", "group: orders, run_as", "group: \""+me.Gid+"\", run_as",
		"/run/secrets", dir, "/etc/rota", dir, "/etc/orders", dir, "delete_previous_after: 7d}", "delete_previous_after: 7d, unused_for: 1ms}",
	).Replace(blocks(t, string(page), "yaml", 1)[0]), 0o600)
	w.put("orders-db", adminPassword, 0o600)
	w.put("settings-db", adminPassword, 0o600)
	w.put("ssh", w.host.ClientKey, 0o600)
	w.put("known_hosts", knownhosts.Line([]string{knownhosts.Normalize(w.cable.addr)}, w.host.HostKey)+"\n", 0o600)
	for i, s := range []*testenv.PostgresServer{w.orders, w.other} {
		names := []string{"orders", "settings"}
		w.grant(s, names[i], w.rota(0, "policy", "postgres", "--connection", names[i]+"-db"))
	}
	return w
}

// blocks are the page's blocks in a language.
func blocks(t *testing.T, page, language string, n int) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	if len(all) != n {
		t.Fatalf("%d blocks of %s, want %d", len(all), language, n)
	}
	return all
}

// grant runs what rota policy printed, without the lines for later versions.
func (w *world) grant(s *testenv.PostgresServer, database, policy string) {
	w.t.Helper()
	for line := range strings.Lines(policy) {
		if later := strings.Contains(line, "PostgreSQL 16 and later") && s.Version(w.t) < 160000; !later && !strings.HasPrefix(line, "--") && strings.TrimSpace(line) != "" {
			s.ExecIn(w.t, database, line)
		}
	}
}

func (w *world) put(name, text string, mode os.FileMode) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) touch(name string) { w.put(name, "", 0o600) }

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// reloads is how often the host was told to reload.
func (w *world) reloads() int { return strings.Count(w.read("systemctl.log"), "reload orders\n") }

// file is the login that the host has.
func (w *world) file() (l login) {
	w.t.Helper()
	for line := range strings.Lines(w.read("db.env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `'"`)
		switch name {
		case "DB_USER":
			l.user = value
		case "DB_PASSWORD":
			l.password = value
		}
	}
	return l
}

// settings is a session in the database with the settings.
func (w *world) settings() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.other.DatabaseDSN("settings"))
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// row is the login that containers get.
func (w *world) row() (l login) {
	w.t.Helper()
	conn := w.settings()
	defer func() { _ = conn.Close(w.t.Context()) }()
	if err := conn.QueryRow(w.t.Context(), "SELECT db_user, db_password FROM settings WHERE service = 'orders'").Scan(&l.user, &l.password); err != nil {
		w.t.Fatal(err)
	}
	return l
}

// lockRow keeps others from changing the row.
func (w *world) lockRow() (unlock func()) {
	w.t.Helper()
	conn := w.settings()
	if _, err := conn.Exec(w.t.Context(), "BEGIN; SELECT FROM settings FOR UPDATE"); err != nil {
		w.t.Fatal(err)
	}
	return func() { _ = conn.Close(w.t.Context()) }
}

// waitsForRow reports whether a statement waits for a lock.
func (w *world) waitsForRow() (waits bool) {
	w.t.Helper()
	conn := w.settings()
	defer func() { _ = conn.Close(w.t.Context()) }()
	if err := conn.QueryRow(w.t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'rota_settings' AND wait_event_type = 'Lock')").Scan(&waits); err != nil {
		w.t.Fatal(err)
	}
	return waits
}

// accepts reports whether the application's database lets a consumer in.
func (w *world) accepts(l login) bool {
	w.t.Helper()
	cfg, err := pgx.ParseConfig(w.orders.DatabaseDSN("orders"))
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.User, cfg.Password = l.user, l.password
	conn, err := pgx.ConnectConfig(w.t.Context(), cfg)
	if err == nil {
		defer func() { _ = conn.Close(w.t.Context()) }()
		var n int
		err = conn.QueryRow(w.t.Context(), "SELECT count(*) FROM orders").Scan(&n)
	}
	return err == nil
}

func (w *world) login(l login) {
	w.t.Helper()
	if !w.accepts(l) {
		w.t.Errorf("the password of %s is refused while a consumer may hold it", l.user)
	}
}

// everywhere checks that the row and the host have the same login of one of the
// roles, and that it works.
func (w *world) everywhere(roles ...string) login {
	w.t.Helper()
	l := w.file()
	if w.row() != l {
		w.t.Errorf("the row has %s's password and the host %s's, or another", w.row().user, l.user)
	}
	if l.user != roles[0] && l.user != roles[1] {
		w.t.Errorf("the host has the login of %q", l.user)
	}
	w.login(l)
	return l
}
