//go:build unix

package kill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// program is the real one, built once.
var program string

func TestMain(m *testing.M) { os.Exit(testenv.MainWithProgram(m, &program)) }

// The two secrets: one role, whose old password stops working once the new one
// is set, and a pair that overlaps.
const (
	single = "app-db"
	pair   = "orders-db"
)

// singleAge is how old the single role's password gets.
const singleAge = 2 * time.Second

const configuration = `
connections:
  db: {postgres: {host: %[1]s, port: %[2]d, database: postgres, username: rota_admin, password: "${env:ADMIN_PASSWORD}"}}
secrets:
  - name: app-db
    issuer: {connection: db, password: {role: app}}
    targets: [{name: copy, file: {path: %[3]s/app-db.json, format: json}}]
    reload: [{name: app, command: {run: [sleep, "0.01"]}}]
    policy: {rotate_every: %[4]s}
  - name: orders-db
    issuer: {connection: db, alternating: {roles: [orders_a, orders_b], group: orders}}
    targets: [{name: copy, file: {path: %[3]s/orders-db.json, format: json}}]
    reload: [{name: orders, command: {run: [sleep, "0.01"]}}]
    policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms}
`

// world is one server, one data folder and rota's arguments.
type world struct {
	*testing.T
	server *testenv.PostgresServer
	dir    string
	env    []string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, server: testenv.Postgres(t, testenv.PostgresOptions{}), dir: t.TempDir()}
	const admin = "the-administrator-of-this-test"
	w.server.Exec(t,
		"CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD '"+admin+"'",
		"GRANT pg_read_all_stats TO rota_admin",
		"GRANT SELECT ON pg_authid TO rota_admin",
		"CREATE ROLE app NOLOGIN", "CREATE ROLE orders NOLOGIN",
		"CREATE ROLE orders_a NOLOGIN IN ROLE orders", "CREATE ROLE orders_b NOLOGIN IN ROLE orders",
		"GRANT app, orders_a, orders_b TO rota_admin WITH ADMIN OPTION",
		"CREATE TABLE line (n int)", "ALTER TABLE line OWNER TO orders")
	text := fmt.Sprintf(configuration, w.server.Host, w.server.Port, w.dir, rota.FormatDuration(singleAge))
	if err := os.WriteFile(filepath.Join(w.dir, "rota.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "ROTA_CONFIG=" + filepath.Join(w.dir, "rota.yaml"),
		"ROTA_DATA_DIR=" + filepath.Join(w.dir, "data"), "ADMIN_PASSWORD=" + admin,
	}
	return w
}

func (w *world) command(output *bytes.Buffer, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = w.env, w.dir
	cmd.Stdout, cmd.Stderr = output, output
	return cmd
}

// rota runs a command that must exit with one of the codes, and returns its
// output.
func (w *world) rota(codes []int, args ...string) []byte {
	w.Helper()
	var output bytes.Buffer
	cmd := w.command(&output, args...)
	if err := cmd.Run(); !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
		w.Fatalf("rota %q: %v\n%s", args, err, output.Bytes())
	}
	return output.Bytes()
}

// rota's exit codes.
var (
	done       = []int{0}
	doneOrHeld = []int{0, 3}
)

// strike runs a command and kills it after a while, and reports whether that
// was before it ended.
func (w *world) strike(after time.Duration, args ...string) bool {
	w.Helper()
	var output bytes.Buffer
	cmd := w.command(&output, args...)
	// A reloader's command may outlive it and keep the output open.
	cmd.WaitDelay = time.Millisecond
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	killer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	err := cmd.Wait()
	switch code := cmd.ProcessState.ExitCode(); {
	case slices.Contains(doneOrHeld, code):
		return false
	case code == -1:
		return true
	default:
		w.Fatalf("rota %q: %v\n%s", args, err, output.Bytes())
		return false
	}
}

// read decodes a command's output as JSON.
func read[T any](w *world, args ...string) T {
	w.Helper()
	var doc T
	output := w.rota(done, append(args, "--output", "json")...)
	if err := json.Unmarshal(output, &doc); err != nil {
		w.Fatalf("rota %q: %v\n%s", args, err, output)
	}
	return doc
}

// history returns a secret's newest entries, in order.
func (w *world) history(secret string) []rotation.Entry {
	w.Helper()
	return read[struct {
		Entries []rotation.Entry `json:"entries"`
	}](w, "history", secret, "--limit", "60").Entries
}

// open opens Rota's own store; this process is just another user of it.
func (w *world) open() *store.DB {
	w.Helper()
	db, err := store.Open(w.Context(), store.Options{Dir: filepath.Join(w.dir, "data")})
	if err != nil {
		w.Fatal(err)
	}
	return db
}

// look finds labels where they must not be, leftover leases, and a torn audit.
func (w *world) look(secret string) {
	w.Helper()
	db := w.open()
	defer func() { _ = db.Close() }()
	contents, err := db.Secret(secret).Describe(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	counts := map[rota.Label]int{}
	for _, v := range contents.Versions {
		for _, l := range v.Labels {
			counts[l]++
		}
	}
	if counts[rota.LabelCurrent] != 1 || counts[rota.LabelPending] != 0 {
		w.Errorf("%s: labels %v, want one %s and no %s", secret, counts, rota.LabelCurrent, rota.LabelPending)
	}
	if _, err := db.Audit().Verify(w.Context()); err != nil {
		w.Error(err)
	}
	all, err := db.Overview().Statuses(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range all {
		if s.Holder != "" {
			w.Errorf("%s: %s has its lease", s.Name, s.Holder)
		}
	}
}

// retiring reports whether the pair's previous credential is still to be
// deactivated and deleted.
func (w *world) retiring() bool {
	w.Helper()
	db := w.open()
	defer func() { _ = db.Close() }()
	contents, err := db.Secret(pair).Describe(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	_, there := rota.Find(contents.Versions, rota.LabelPrevious)
	return there
}

// stored is the current credential, as rota get shows it.
func (w *world) stored(secret string) map[string]string {
	w.Helper()
	return read[struct {
		Fields map[string]string `json:"fields"`
	}](w, "get", secret).Fields
}

// delivered is the credential in the file target; nil if there is none yet.
func (w *world) delivered(secret string) map[string]string {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, secret+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(text, &fields); err != nil {
		w.Fatalf("the file of %s is torn: %v", secret, err)
	}
	return fields
}

// login logs in as a consumer does.
func (w *world) login(fields map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := pgx.ParseConfig(w.server.DSN())
	if err != nil {
		return err
	}
	c.User, c.Password = fields[rota.FieldUsername], fields[rota.FieldPassword]
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
