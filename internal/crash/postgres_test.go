package crash

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/rotation"
)

var shared = testenv.SharedPostgres{Options: testenv.PostgresOptions{Settings: map[string]string{"max_connections": "300"}}}

func TestPostgresPasswordThroughEveryFault(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	matrix(t, "PostgreSQL password", 32, life{name: "a role's password", build: d.password, steps: []step{
		{name: "day 0", ask: rotateNow, done: isIssued},
		{name: "day 90", after: 90 * rota.Day, done: isRotated},
		{name: "day 180", after: 90 * rota.Day, done: isRotated},
		{name: "day 182, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
	}})
}

func TestPostgresAlternatingThroughEveryFault(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	look := step{name: "a look at the sessions of the previous role", after: 3 * rota.Day, done: func(moment) error { return nil }}
	matrix(t, "PostgreSQL alternating roles", 32, life{name: "a pair of roles", build: d.alternating, steps: []step{
		{name: "day 0", ask: rotateNow, done: isIssued},
		{name: "day 90", after: 90 * rota.Day, done: isRotated},
		look, look,
		{name: "day 100", after: 4 * rota.Day, grace: true, done: isDeactivated},
		{name: "day 110", after: 10 * rota.Day, grace: true, done: isDeleted},
		{name: "day 180", after: 70 * rota.Day, done: isRotated},
		look, look,
		{name: "day 190", after: 4 * rota.Day, grace: true, done: isDeactivated},
		{name: "day 192, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
	}})
}

// scenes numbers the roles of all scenes.
var scenes atomic.Int64

// database is a server, and the sessions that all cells share.
type database struct {
	server *testenv.PostgresServer
	rota   *postgres.Connection
	super  *pgxpool.Pool
	other  string // the verifier of a role that isn't Rota's business
}

func newDatabase(t *testing.T) *database {
	d := &database{server: shared.Get(t)}
	var err error
	if d.super, err = pgxpool.New(t.Context(), d.server.DSN()+"&pool_max_conns=16"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.super.Close)
	// Two matrices share the server: the second one finds them.
	d.exec(t, `DO $$ BEGIN
		PERFORM pg_advisory_xact_lock(1);
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rota_admin') THEN
			CREATE ROLE rota_admin LOGIN SUPERUSER PASSWORD 'admin-password';
			CREATE ROLE other LOGIN PASSWORD 'other-password';
		END IF;
	END $$`)
	if d.other, _, err = d.verifier("other"); err != nil {
		t.Fatal(err)
	}
	if d.rota, err = postgres.New("app-db", postgres.Config{
		Host: d.server.Host, Port: d.server.Port, Username: "rota_admin", Password: "admin-password",
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.rota.Close)
	return d
}

func (d *database) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.super.Exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// verifier is a role's verifier, "" for none, and whether the role can log in
// with it.
func (d *database) verifier(role string) (verifier string, open bool, err error) {
	err = d.super.QueryRow(context.Background(), `SELECT coalesce(rolpassword, ''), rolcanlogin AND coalesce(rolvaliduntil > clock_timestamp(), true)
		FROM pg_authid WHERE rolname = $1`, role).Scan(&verifier, &open)
	return verifier, open, err
}

// pgScene is a role or a pair, Rota's own store, a file and consumers.
type pgScene struct {
	w      *world
	d      *database
	issuer issuer
	roles  []string
	pair   bool
	dir    string
	path   string
	past   past

	mu     sync.Mutex
	db     *store.DB
	served login           // what the consumers hold
	before login           // what consumers hold that haven't picked up the last one
	until  time.Time       // how long that must work, if there is an overlap
	gap    bool            // a password was set and isn't served yet
	proven map[string]bool // by verifier and password
}

// login is a name and a password.
type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func (d *database) password(t testing.TB, w *world) scene {
	s := d.scene(t, w, "app")
	i, err := d.rota.Password(postgres.PasswordConfig{Role: s.roles[0]})
	if err != nil {
		t.Fatal(err)
	}
	s.issuer = i.(issuer)
	return s
}

func (d *database) alternating(t testing.TB, w *world) scene {
	s := d.scene(t, w, "a", "b", "group")
	s.pair = true
	d.exec(t, fmt.Sprintf("GRANT %s TO %s, %s", s.roles[2], s.roles[0], s.roles[1]))
	i, err := d.rota.Alternating(postgres.AlternatingConfig{Roles: [2]string{s.roles[0], s.roles[1]}, Group: s.roles[2]})
	if err != nil {
		t.Fatal(err)
	}
	s.issuer = i.(issuer)
	return s
}

func (d *database) scene(t testing.TB, w *world, names ...string) *pgScene {
	dir, err := os.MkdirTemp(memoryDisk(), "rota-crash-")
	if err != nil {
		t.Fatal(err)
	}
	s := &pgScene{w: w, d: d, dir: dir, path: filepath.Join(dir, "app.json"), proven: map[string]bool{}}
	n := scenes.Add(1)
	for _, name := range names {
		role := name + "_" + strconv.FormatInt(n, 10)
		d.exec(t, "DROP ROLE IF EXISTS "+role, "CREATE ROLE "+role+" NOLOGIN")
		s.roles = append(s.roles, role)
	}
	return s
}

func (s *pgScene) secret(p *process) (*rotation.Secret, error) {
	db, err := s.open()
	if err != nil {
		return nil, err
	}
	target, err := file.New(file.Config{Path: s.path, Format: file.JSON})
	if err != nil {
		return nil, err
	}
	wrapped := &wrappedIssuer{p, s.issuer, &s.past, s.mayGap}
	secret := &rotation.Secret{
		Name: secretName, Policy: policy, Issuer: wrapped,
		Store:     &wrappedStore{p, db.Secret(secretName)},
		Targets:   []rota.Target{&wrappedTarget{p, target}},
		Reloaders: []rota.Reloader{&reloader{p, s.reload}},
	}
	if off, ok := s.issuer.(rota.Deactivator); ok {
		secret.Issuer = &wrappedDeactivator{wrapped, off}
	}
	return secret, nil
}

// open reopens the store if the process that had it open has died.
func (s *pgScene) open() (*store.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil && s.w.died() {
		if err := s.db.Close(); err != nil {
			return nil, err
		}
		s.db = nil
	}
	if s.db == nil {
		db, err := store.Open(context.Background(), store.Options{Dir: filepath.Join(s.dir, "data"), Now: s.w.clock})
		if err != nil {
			return nil, err
		}
		s.db = db
	}
	return s.db, nil
}

func (s *pgScene) journal() (rotation.Journal, error) {
	db, err := s.open()
	if err != nil {
		return nil, err
	}
	return db.Journal(), nil
}

func (s *pgScene) lose() {}

func (s *pgScene) mayHold(rotation.HoldKind, error) (string, bool) { return "", false }

// mayGap records that a password was set, which invalidates the role's old one.
func (s *pgScene) mayGap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gap = !s.pair
}

func (s *pgScene) reload() error {
	l, err := s.file()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l != s.served {
		s.before, s.until = s.served, s.w.clock().Add(policy.DeactivatePreviousAfter)
	}
	s.served, s.gap = l, false
	return nil
}

func (s *pgScene) file() (l login, err error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	return l, err
}

// stored are the logins of the store's versions by label.
func (s *pgScene) stored() (map[rota.Label]login, map[rota.Label]rota.Version, error) {
	db, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	contents, err := db.Secret(secretName).Describe(context.Background())
	if err != nil {
		return nil, nil, err
	}
	logins, versions := map[rota.Label]login{}, map[rota.Label]rota.Version{}
	for _, v := range contents.Versions {
		c, err := db.Secret(secretName).Get(context.Background(), rota.GetRequest{Version: v.ID})
		if err != nil {
			return nil, nil, err
		}
		for _, l := range v.Labels {
			logins[l], versions[l] = login{c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)}, v
		}
	}
	return logins, versions, nil
}

// valid reports whether the server would accept a login, according to its
// catalog.
func (s *pgScene) valid(l login) (bool, error) {
	verifier, open, err := s.d.verifier(l.Username)
	if err != nil || !open || verifier == "" {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := verifier + l.Password
	proven, known := s.proven[key]
	if !known {
		proven = fits(verifier, l.Password)
		s.proven[key] = proven
	}
	return proven, nil
}

// fits reports whether a password matches a verifier of the form
// SCRAM-SHA-256$4096:salt$StoredKey:ServerKey (RFC 5803).
func fits(verifier, password string) bool {
	parts := strings.FieldsFunc(verifier, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 {
		return false
	}
	rounds, err := strconv.Atoi(parts[1])
	salt, err2 := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || err2 != nil {
		return false
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, salted)
	mac.Write([]byte("Client Key"))
	storedKey := sha256.Sum256(mac.Sum(nil))
	return base64.StdEncoding.EncodeToString(storedKey[:]) == parts[3]
}

func (s *pgScene) instant() error {
	logins, _, err := s.stored()
	if err != nil {
		return err
	}
	target, err := s.file()
	if err != nil {
		return fmt.Errorf("the target can't be read: %w", err)
	}
	s.mu.Lock()
	served, gap, before := s.served, s.gap, s.before
	if !s.pair || !s.w.clock().Before(s.until) {
		before = login{}
	}
	s.mu.Unlock()
	works := map[string]bool{}
	for name, l := range map[string]login{"AWSCURRENT": logins[rota.LabelCurrent], "AWSPENDING": logins[rota.LabelPending],
		"AWSPREVIOUS": logins[rota.LabelPrevious], "the target": target, "consumers": served, "late consumers": before} {
		if l.Username == "" {
			continue
		}
		if works[name], err = s.valid(l); err != nil {
			return err
		}
		if must := name != "AWSPENDING" && name != "AWSPREVIOUS"; must && !gap && !works[name] {
			return fmt.Errorf("%s holds a login of %s that does not work", name, l.Username)
		}
	}
	// Whatever happens, the valid password is in the store.
	if served.Username != "" && !works["AWSCURRENT"] && !works["AWSPENDING"] && !works["AWSPREVIOUS"] {
		return errors.New("none of the store's versions logs in")
	}
	return nil
}

func (s *pgScene) look() (moment, error) {
	logins, versions, err := s.stored()
	if err != nil {
		return moment{}, err
	}
	m := moment{current: versions[rota.LabelCurrent].ID, previous: versions[rota.LabelPrevious].ID, previousRole: logins[rota.LabelPrevious].Username}
	if m.previousState, err = s.state(m.previousRole); err != nil {
		return m, err
	}
	state, err := s.state(s.w.start.previousRole)
	m.priorGone = state == "gone"
	return m, err
}

func (s *pgScene) state(role string) (string, error) {
	if role == "" {
		return "gone", nil
	}
	verifier, open, err := s.d.verifier(role)
	switch {
	case err != nil:
		return "", err
	case verifier == "":
		return "gone", nil
	case open:
		return "active", nil
	}
	return "inactive", nil
}

func (s *pgScene) safe() error {
	if now, open, err := s.d.verifier("other"); err != nil || now != s.d.other || !open {
		return fmt.Errorf("a foreign role was touched (%w)", err)
	}
	db, err := s.open()
	if err != nil {
		return err
	}
	if _, err := db.Audit().Verify(context.Background()); err != nil {
		return fmt.Errorf("the audit does not verify: %w", err)
	}
	logins, _, err := s.stored()
	if err != nil || logins[rota.LabelCurrent].Username == "" || !s.w.struck {
		return err
	}
	if err := s.logIn(logins[rota.LabelCurrent]); err != nil {
		return fmt.Errorf("AWSCURRENT can't log in: %w", err)
	}
	return nil
}

// logIn is a real login.
func (s *pgScene) logIn(l login) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=postgres sslmode=disable", s.d.server.Host, s.d.server.Port))
	if err != nil {
		return err
	}
	cfg.User, cfg.Password = l.Username, l.Password
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (s *pgScene) settled() error {
	if err := s.safe(); err != nil {
		return err
	}
	logins, versions, err := s.stored()
	if err != nil {
		return err
	}
	if v, ok := versions[rota.LabelPending]; ok {
		return fmt.Errorf("AWSPENDING is left on %s", v.ID)
	}
	target, err := s.file()
	if err != nil {
		return err
	}
	s.mu.Lock()
	served := s.served
	s.mu.Unlock()
	if current := logins[rota.LabelCurrent]; target != current || served != current {
		return fmt.Errorf("%s is current; the target has it: %t, consumers: %t", versions[rota.LabelCurrent].ID, target == current, served == current)
	}
	if versions[rota.LabelServed].ID != versions[rota.LabelCurrent].ID {
		return fmt.Errorf("ROTA_SERVED is on %q, not on the current version", versions[rota.LabelServed].ID)
	}
	for _, role := range s.roles {
		state, err := s.state(role)
		if err != nil {
			return err
		}
		if state == "active" && logins[rota.LabelCurrent].Username != role && logins[rota.LabelPrevious].Username != role {
			return fmt.Errorf("role %s can log in, and no version of the store holds it", role)
		}
	}
	return nil
}

func (s *pgScene) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		_ = s.db.Close()
	}
	_ = os.RemoveAll(s.dir)
	for _, role := range s.roles {
		_, _ = s.d.super.Exec(context.Background(), "DROP ROLE IF EXISTS "+role)
	}
}
