package crash

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/postgres"
)

var shared = testenv.SharedPostgres{Options: testenv.PostgresOptions{Settings: map[string]string{"max_connections": "300"}}}

func TestPostgresPasswordThroughEveryFault(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	matrix(t, "PostgreSQL password", 32, life{name: "a role's password", build: inOwnStore(d.password), kinds: everyKind, steps: lifeOfPassword})
}

func TestPostgresAlternatingThroughEveryFault(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	matrix(t, "PostgreSQL alternating roles", 32, life{name: "a pair of roles", build: inOwnStore(d.alternating), kinds: everyKind, steps: lifeOfPair})
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

// roles are one cell's.
type pgRoles struct {
	d      *database
	names  []string
	proven sync.Map // by verifier and password
}

func (d *database) password(t testing.TB, s *scene) fixture {
	r := d.roles(t, "app")
	i, err := d.rota.Password(postgres.PasswordConfig{Role: r.names[0]})
	if err != nil {
		t.Fatal(err)
	}
	return r.fixture(s, i)
}

func (d *database) alternating(t testing.TB, s *scene) fixture {
	r := d.roles(t, "a", "b", "group")
	d.exec(t, fmt.Sprintf("GRANT %s TO %s, %s", r.names[2], r.names[0], r.names[1]))
	i, err := d.rota.Alternating(postgres.AlternatingConfig{Roles: [2]string{r.names[0], r.names[1]}, Group: r.names[2]})
	if err != nil {
		t.Fatal(err)
	}
	return r.fixture(s, i)
}

func (d *database) roles(t testing.TB, names ...string) *pgRoles {
	r := &pgRoles{d: d}
	n := scenes.Add(1)
	for _, name := range names {
		role := name + "_" + strconv.FormatInt(n, 10)
		d.exec(t, "DROP ROLE IF EXISTS "+role, "CREATE ROLE "+role+" NOLOGIN")
		r.names = append(r.names, role)
	}
	return r
}

func (r *pgRoles) fixture(s *scene, i rota.Issuer) fixture {
	made := &calls{system: "postgres", inner: i.(issuer), scene: s}
	return fixture{
		connect: made.connect, traits: i.Traits(), id: i.CredentialID,
		works: r.works, logIn: r.logIn, exists: r.exists, intact: r.intact, close: r.drop,
	}
}

func (r *pgRoles) exists() (map[string]bool, error) {
	exist := map[string]bool{}
	for _, role := range r.names {
		verifier, open, err := r.d.verifier(role)
		if err != nil {
			return nil, err
		}
		if verifier != "" {
			exist[role] = open
		}
	}
	return exist, nil
}

// works compares the password with the server's catalog.
func (r *pgRoles) works(c rota.Credential) (bool, error) {
	verifier, open, err := r.d.verifier(c.Field(rota.FieldUsername))
	if err != nil || !open || verifier == "" {
		return false, err
	}
	key := verifier + c.Field(rota.FieldPassword)
	if proven, known := r.proven.Load(key); known {
		return proven.(bool), nil
	}
	proven := fits(verifier, c.Field(rota.FieldPassword))
	r.proven.Store(key, proven)
	return proven, nil
}

func (r *pgRoles) intact() error {
	if now, open, err := r.d.verifier("other"); err != nil || now != r.d.other || !open {
		return fmt.Errorf("a foreign role was touched (%w)", err)
	}
	return nil
}

func (r *pgRoles) drop() {
	for _, role := range r.names {
		_, _ = r.d.super.Exec(context.Background(), "DROP ROLE IF EXISTS "+role)
	}
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

// logIn is a real login.
func (r *pgRoles) logIn(c rota.Credential) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=postgres sslmode=disable", r.d.server.Host, r.d.server.Port))
	if err != nil {
		return err
	}
	cfg.User, cfg.Password = c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
