package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
)

var catalog = config.MustCatalog(providers.List()...)

var server testenv.SharedPostgres

func TestMain(m *testing.M) {
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// world is a daemon with its store and a key of the first administrator.
type world struct {
	t    *testing.T
	file string // of the configuration
	url  string
	key  access.Issued
	db   *store.DB
}

// start runs a daemon until the test's end. database is "" for SQLite; change
// its options as the test wants.
func start(t *testing.T, database, text string, change ...func(*daemon.Options)) *world {
	t.Helper()
	w, _ := startStoppable(t, database, text, change...)
	return w
}

// start runs a daemon until the test ends. database is "" for SQLite; change
// adjusts its options.
func startStoppable(t *testing.T, database, text string, change ...func(*daemon.Options)) (*world, func()) {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, file: filepath.Join(dir, "rota.yaml")}
	w.configure(text)
	w.open(store.Options{Dir: filepath.Join(dir, "data"), DSN: database})
	var err error
	if w.key, err = access.NewAdministration(w.db.Directory(), w.db.Audit(), nil).Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, w.serve(database, change...)
}

// replica runs one more daemon on the database of the first, with a rota.yaml of
// its own.
func (w *world) replica(database, text string, change ...func(*daemon.Options)) *world {
	w.t.Helper()
	dir := w.t.TempDir()
	other := &world{t: w.t, file: filepath.Join(dir, "rota.yaml"), key: w.key}
	other.configure(text)
	keyFile, err := os.ReadFile(filepath.Join(filepath.Dir(w.file), "data", "rota.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "rota.key"), keyFile, 0o600); err != nil {
		w.t.Fatal(err)
	}
	other.open(store.Options{Dir: filepath.Join(dir, "data"), DSN: database})
	other.serve(database, change...)
	return other
}

func (w *world) open(o store.Options) {
	w.t.Helper()
	o.Actor = "rota serve"
	var err error
	if w.db, err = store.Open(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// serve runs a daemon until the test's end, or until it is stopped.
func (w *world) serve(database string, change ...func(*daemon.Options)) (stop func()) {
	t := w.t
	t.Helper()
	ready := make(chan net.Addr, 1)
	o := daemon.Options{
		Load: func(ctx context.Context) (*config.File, error) { return catalog.Load(ctx, w.file) }, DB: w.db, Database: database,
		Listen: "127.0.0.1:0", Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ready: func(a net.Addr) { ready <- a }, WatchEvery: 50 * time.Millisecond, SurveyEvery: 50 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	d, err := daemon.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.url = "http://" + (<-ready).String()
	return cancel
}

func (w *world) configure(text string) {
	w.t.Helper()
	next := w.file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(next, w.file); err != nil {
		w.t.Fatal(err)
	}
}

// do sends a request to the API and decodes the answer into doc.
func (w *world) do(method, path string, doc any) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.key.Token())
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if doc != nil {
		if err := json.Unmarshal(body, doc); err != nil {
			w.t.Fatalf("%s %s: %s: %s", method, path, a.Status, body)
		}
	}
	return a
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

// database makes a role to rotate, and gives a configuration that does so.
func roleConfig(t *testing.T, role, every string) string {
	t.Helper()
	pg := server.Get(t)
	pg.Exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'first'")
	c, err := pgx.ParseConfig(pg.DSN())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
connections:
  db: {postgres: {host: "127.0.0.1", port: %d, username: %s, sslmode: disable}}
secrets:
  - name: app/%s
    issuer: {connection: db, password: {role: %s}}
    policy: {rotate_every: %s, jitter: 0s}
`, c.Port, pg.Superuser(), role, role, every)
}

// login logs in as the role with a password.
func login(ctx context.Context, t *testing.T, role, password string) error {
	t.Helper()
	c, err := pgx.ParseConfig(server.Get(t).DSN())
	if err != nil {
		t.Fatal(err)
	}
	c.User, c.Password = role, password
	conn, err := pgx.ConnectConfig(ctx, c)
	if err == nil {
		err = conn.Close(ctx)
	}
	return err
}

// secretsManager is AWS's own client, pointed at the daemon.
func (w *world) secretsManager() *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		BaseEndpoint: aws.String(w.url), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider(w.key.Key.ID, w.key.Secret.Reveal(), ""),
	})
}

// password is what an application reads.
func (w *world) password(id string) (version, password string, err error) {
	v, err := w.secretsManager().GetSecretValue(w.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", "", err
	}
	var fields map[string]string
	err = json.Unmarshal([]byte(aws.ToString(v.SecretString)), &fields)
	return aws.ToString(v.VersionId), fields["password"], err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
