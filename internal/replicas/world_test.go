//go:build unix

package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/engine/river"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/rotation"
)

// replicaEnv has the JSON of a scene in a process that is one replica.
const replicaEnv = "ROTA_TEST_REPLICA"

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(replicaEnv); ok {
		if err := process(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// process is one replica, until it is asked to stop.
func process(text string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var s scene
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	return s.replica(ctx)
}

// scene is everything a replica must know.
type scene struct {
	DSN     string // of the store
	Host    string // the server whose roles are rotated
	Port    int
	KeyFile string
	Secrets int
	Delay   time.Duration // the minimum time that each step takes
}

const (
	adminPassword = "the-administrator-of-this-test"
	leaseTTL      = 3 * time.Second
)

func name(i int) string { return fmt.Sprintf("role_%03d", i) }

// replica works until ctx ends.
func (s scene) replica(ctx context.Context) (err error) {
	db, err := store.Open(ctx, store.Options{DSN: s.DSN, KeyFile: s.KeyFile})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	pool, err := pgxpool.New(ctx, s.DSN)
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := postgres.New("roles", postgres.Config{Host: s.Host, Port: s.Port, Database: "postgres", Username: "rota_admin", Password: adminPassword})
	if err != nil {
		return err
	}
	defer conn.Close()
	var all []*rotation.Secret
	for i := range s.Secrets {
		issuer, err := conn.Password(postgres.PasswordConfig{Role: name(i)})
		if err != nil {
			return err
		}
		all = append(all, &rotation.Secret{
			Name: name(i), Systems: []string{fmt.Sprintf("system-%d", i%16)}, Store: db.Secret(name(i)),
			Issuer: slowly{issuer, s.Delay}, Policy: rotation.Policy{RotateEvery: 90 * rota.Day},
		})
	}
	secrets := &engine.Secrets{}
	secrets.Replace(all, nil)
	worker := engine.NewWorker(engine.WorkerOptions{
		Rotator: &rotation.Rotator{Journal: db.Journal(), Now: db.Now, LeaseTTL: leaseTTL, CallTimeout: 5 * time.Second},
		Secrets: secrets, Now: db.Now, Limits: engine.Limits{Workers: 16, CoolDown: time.Second},
	})
	service, err := river.New(river.Options{
		Pool: pool, Worker: worker, Queue: db.Queue(), Now: db.Now, LostAfter: 2 * leaseTTL, DrainTimeout: 5 * time.Second,
	})
	if err != nil {
		return err
	}
	return service.Run(ctx)
}

// slowly makes every test of a login take a while, so that turns are in flight
// when something happens.
type slowly struct {
	rota.Issuer
	delay time.Duration
}

func (s slowly) Test(ctx context.Context, r rota.TestRequest) error {
	select {
	case <-time.After(s.delay):
		return s.Issuer.Test(ctx, r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// List still passes through to the issuer.
func (s slowly) List(ctx context.Context) ([]rota.Issued, error) {
	return s.Issuer.(rota.Lister).List(ctx)
}

// world is a server with roles, and a store in which they are enrolled.
type world struct {
	*testing.T
	scene
	server *testenv.PostgresServer
	db     *store.DB
}

func newWorld(t *testing.T, secrets int, delay time.Duration) *world {
	t.Helper()
	server := testenv.Postgres(t, testenv.PostgresOptions{Settings: map[string]string{"max_connections": "200"}})
	dir := t.TempDir()
	w := &world{T: t, server: server, scene: scene{
		DSN: server.NewDatabase(t), Host: server.Host, Port: server.Port,
		KeyFile: filepath.Join(dir, "rota.key"), Secrets: secrets, Delay: delay,
	}}
	server.Exec(t, "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD '"+adminPassword+"'", "GRANT pg_read_all_stats TO rota_admin",
		"GRANT SELECT ON pg_authid TO rota_admin")
	roles, fingerprints := make([]string, secrets), map[string]string{}
	for i := range secrets {
		roles[i] = "CREATE ROLE " + name(i) + " NOLOGIN; GRANT " + name(i) + " TO rota_admin WITH ADMIN OPTION"
		fingerprints[name(i)] = ""
	}
	server.Exec(t, strings.Join(roles, ";"))
	var err error
	if w.db, err = store.Open(t.Context(), store.Options{DSN: w.DSN, KeyFile: w.KeyFile}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	if _, err := w.db.Queue().Enroll(t.Context(), fingerprints); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := river.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return w
}

// through returns the scene with the store behind another port.
func (s scene) through(t testing.TB, port int) scene {
	t.Helper()
	u, err := url.Parse(s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	s.DSN = u.String()
	return s
}

// run starts a replica in this process and returns a function that stops it.
func (w *world) run(s scene) func() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.replica(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("a replica ended with: %v", err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// start starts a replica as a separate process.
func (w *world) start(s scene) *exec.Cmd {
	w.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaEnv+"="+string(text))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// until polls. Unknown, at the moment, counts as no.
func (w *world) until(what string, ok func() (bool, error)) {
	w.Helper()
	const within = 5 * time.Minute
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := ok()
		if yes && err == nil {
			return
		}
		select {
		case <-deadline:
			w.Fatalf("not within %s: %s (%v)", within, what, err)
		case <-tick.C:
		}
	}
}

// rotated waits until at least n secrets are rotated, and nobody is working on
// them.
func (w *world) rotated(n int) {
	w.Helper()
	w.until(fmt.Sprintf("%d of %d are rotated", n, w.Secrets), func() (bool, error) {
		all, err := w.db.Overview().Statuses(w.Context())
		done := 0
		for _, s := range all {
			if s.Status.Version != "" && s.Status.BegunAt.IsZero() {
				done++
			}
		}
		return done >= n, err
	})
}

// check checks what the roles and the audit saw: each secret was rotated once,
// its credential logs in, and no other write got through.
func (w *world) check() {
	w.Helper()
	for i := range w.Secrets {
		secret := name(i)
		records, err := w.db.Audit().Read(w.Context(), store.AuditQuery{Secret: secret, Limit: 1000})
		if err != nil {
			w.Fatal(err)
		}
		promoted := map[string]bool{}
		for _, r := range records {
			if r.Entry.Step == string(rota.StepPromote) {
				promoted[r.Entry.Version] = true
			}
		}
		contents, err := w.db.Secret(secret).Describe(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		current, ok := rota.Find(contents.Versions, rota.LabelCurrent)
		if !ok || len(promoted) != 1 || !promoted[current.ID] {
			w.Errorf("%s: promoted %v, current %q: want one rotation", secret, promoted, current.ID)
			continue
		}
		c, err := w.db.Secret(secret).Get(w.Context(), rota.GetRequest{Version: current.ID})
		if err != nil {
			w.Fatal(err)
		}
		if err := w.login(c); err != nil {
			w.Errorf("%s: the current credential does not log in: %v", secret, err)
		}
	}
	if _, err := w.db.Audit().Verify(w.Context()); err != nil {
		w.Error(err)
	}
}

func (w *world) login(c rota.Credential) error {
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	config, err := pgx.ParseConfig(w.server.DSN())
	if err != nil {
		return err
	}
	config.User, config.Password = c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
