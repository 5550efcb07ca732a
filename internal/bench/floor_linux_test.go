package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/rotation"
)

// floorRoles is how many roles a round sets the passwords of.
const floorRoles = 64

// BenchmarkPostgresAgainstFloor rotates real roles, and in the same run sets as
// many passwords
//   - in the loop of a person's script: psql once a role, one after the other
//     (script-ratio),
//   - in one session, one ALTER ROLE with a clear password after the other
//     (ratio),
//   - in that loop with as many sessions as Rota rotates at once
//     (same-concurrency-ratio),
//   - so that each role also logs in once with its new password, without which
//     no rotation may be promoted (with-login-ratio),
//   - and so that it logs in twice, as Rota does: it also proves that a login can
//     succeed before it replaces a role's only password (with-logins-ratio).
//
// A ratio is rotations a second over passwords a second. The server makes its
// commits durable. rota-ms and server-ms are processor time for one rotation,
// bare-ms for one password of the first loop, with-login-ms and with-logins-ms
// for one with its logins.
func BenchmarkPostgresAgainstFloor(b *testing.B) {
	for _, concurrency := range []int{1, 8} {
		b.Run(fmt.Sprintf("concurrency %d", concurrency), func(b *testing.B) { postgresAgainstFloor(b, concurrency) })
	}
}

// phase is a part of the benchmark with what it took.
type phase struct {
	run  func()
	took time.Duration
	cpu  processor
}

func postgresAgainstFloor(b *testing.B, concurrency int) {
	server := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true})
	c := newClock()
	db := open(b, c)
	secrets := floorSecrets(b, server, db)
	r := &rotation.Rotator{Journal: db.Journal(), Now: c.Now}
	limits := engine.Limits{Workers: concurrency, PerSystem: concurrency}
	sequential, concurrent := newFloor(b, server, 1), newFloor(b, server, concurrency)
	password := func() string { return fmt.Sprintf("a-clear-password-%d", c.at.Load()) }
	ours := &phase{run: func() { round(b, r, secrets, limits) }}
	loop := &phase{run: func() { sequential.round(b, password(), 0) }}
	script := &phase{run: func() { psqlRound(b, server, password()) }}
	bare := &phase{run: func() { concurrent.round(b, password(), 0) }}
	proven := &phase{run: func() { concurrent.round(b, password(), 1) }}
	guarded := &phase{run: func() { concurrent.round(b, password(), 2) }}
	phases := []*phase{ours, script, loop, bare, proven, guarded}
	for _, p := range phases { // the first time makes sessions and data keys
		p.run()
	}
	pid, rounds := server.PID(b), 0
	b.ResetTimer()
	for b.Loop() {
		c.move(91 * rota.Day)
		for _, p := range phases {
			before, start := used(b, pid), time.Now()
			p.run()
			p.took += time.Since(start)
			p.cpu = p.cpu.plus(used(b, pid).since(before))
		}
		rounds++
	}
	count := float64(rounds * floorRoles)
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / count }
	b.ReportMetric(count/ours.took.Seconds(), "rotations/s")
	b.ReportMetric(count/script.took.Seconds(), "script/s")
	b.ReportMetric(count/loop.took.Seconds(), "loop/s")
	b.ReportMetric(count/bare.took.Seconds(), "ALTER-ROLE/s")
	b.ReportMetric(count/proven.took.Seconds(), "with-login/s")
	b.ReportMetric(count/guarded.took.Seconds(), "with-logins/s")
	b.ReportMetric(script.took.Seconds()/ours.took.Seconds(), "script-ratio")
	b.ReportMetric(loop.took.Seconds()/ours.took.Seconds(), "ratio")
	b.ReportMetric(bare.took.Seconds()/ours.took.Seconds(), "same-concurrency-ratio")
	b.ReportMetric(proven.took.Seconds()/ours.took.Seconds(), "with-login-ratio")
	b.ReportMetric(guarded.took.Seconds()/ours.took.Seconds(), "with-logins-ratio")
	b.ReportMetric(each(ours.cpu.own), "rota-ms")
	b.ReportMetric(each(ours.cpu.server), "server-ms")
	b.ReportMetric(each(loop.cpu.own+loop.cpu.server), "bare-ms")
	b.ReportMetric(each(proven.cpu.own+proven.cpu.server), "with-login-ms")
	b.ReportMetric(each(guarded.cpu.own+guarded.cpu.server), "with-logins-ms")
}

// BenchmarkPostgresParts is the processor time of what a rotation asks of the
// server, and of the bare statement: Rota's in rota-ms, and the server's in
// server-ms.
func BenchmarkPostgresParts(b *testing.B) {
	server := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true})
	issuer := floorSecrets(b, server, open(b, newClock()))[0].Issuer
	bare := newFloor(b, server, 1)
	ctx, pid := b.Context(), server.PID(b)
	cred, err := issuer.Create(ctx, rota.CreateRequest{})
	if err != nil {
		b.Fatal(err)
	}
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"bare", func() error { return bare.alter(ctx, "floor_bench_00", "a-clear-password", 0) }},
		{"bare with a login", func() error { return bare.alter(ctx, "floor_bench_00", "a-clear-password", 1) }},
		{"set", func() error { return issuer.Set(ctx, rota.SetRequest{Credential: cred}) }},
		{"test", func() error { return issuer.Test(ctx, rota.TestRequest{Credential: cred}) }},
		{"list", func() error { _, err := issuer.(rota.Lister).List(ctx); return err }},
		{"in force", func() error { _, _, err := issuer.(rota.Teller).InForce(ctx, cred); return err }},
	} {
		b.Run(part.name, func(b *testing.B) {
			before, count := used(b, pid), 0
			for b.Loop() {
				if err := part.do(); err != nil {
					b.Fatal(err)
				}
				count++
			}
			took := used(b, pid).since(before)
			b.ReportMetric(took.own.Seconds()*1000/float64(count), "rota-ms")
			b.ReportMetric(took.server.Seconds()*1000/float64(count), "server-ms")
		})
	}
}

// floorSecrets are one secret a role, that were rotated once.
func floorSecrets(b *testing.B, server *testenv.PostgresServer, db *store.DB) []*rotation.Secret {
	b.Helper()
	server.Exec(b, "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin'", "GRANT SELECT (rolname, rolcanlogin, rolvaliduntil, rolpassword) ON pg_authid TO rota_admin")
	conn, err := postgres.New("bench", postgres.Config{Host: server.Host, Port: server.Port, Database: "postgres", Username: "rota_admin", Password: "admin"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	var secrets []*rotation.Secret
	for i := range floorRoles {
		role := fmt.Sprintf("bench_%02d", i)
		server.Exec(b, "CREATE ROLE "+role+" NOLOGIN", "CREATE ROLE floor_"+role+" LOGIN")
		issuer, err := conn.Password(postgres.PasswordConfig{Role: role})
		if err != nil {
			b.Fatal(err)
		}
		secrets = append(secrets, &rotation.Secret{
			Name: role, Systems: []string{"bench"}, Issuer: issuer, Store: db.Secret(role), Policy: rotation.Policy{RotateEvery: 90 * rota.Day},
		})
	}
	return secrets
}

// floor sets passwords with so many sessions at once and nothing else.
type floor struct {
	pool     *pgxpool.Pool
	sessions int
}

func newFloor(b *testing.B, server *testenv.PostgresServer, sessions int) *floor {
	b.Helper()
	pool, err := pgxpool.New(b.Context(), server.DSN()+fmt.Sprintf("&pool_max_conns=%d", sessions))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return &floor{pool: pool, sessions: sessions}
}

// round sets one password of each role, and logs in with it so many times.
func (f *floor) round(b *testing.B, password string, logins int) {
	b.Helper()
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range f.sessions {
		wg.Go(func() {
			for i := range jobs {
				if err := f.alter(b.Context(), fmt.Sprintf("floor_bench_%02d", i), password, logins); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range floorRoles {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
}

// psqlRound sets one password of each role as a script does.
func psqlRound(b *testing.B, server *testenv.PostgresServer, password string) {
	b.Helper()
	for i := range floorRoles {
		cmd := exec.CommandContext(b.Context(), server.Psql(), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", server.DSN())
		cmd.Stdin = strings.NewReader(fmt.Sprintf("ALTER ROLE floor_bench_%02d PASSWORD '%s'", i, password))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("psql: %v: %s", err, out)
		}
	}
}

func (f *floor) alter(ctx context.Context, role, password string, logins int) error {
	if _, err := f.pool.Exec(ctx, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, password)); err != nil {
		return err
	}
	cfg := f.pool.Config().ConnConfig.Copy()
	cfg.User, cfg.Password = role, password
	for range logins {
		conn, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return err
		}
		if err := conn.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}
