package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rota"
	"rota/engine"
	"rota/internal/testenv"
	"rota/provider/memory"
	"rota/provider/postgres"
	"rota/store"
)

// clock is moved by hand, so that everything is due again.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().Unix())
	return c
}

func (c *clock) Now() time.Time        { return time.Unix(c.at.Load(), 0) }
func (c *clock) move(by time.Duration) { c.at.Add(int64(by / time.Second)) }

func open(b *testing.B, c *clock) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{Dir: filepath.Join(b.TempDir(), "state"), Now: c.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// round rotates every secret once and fails on any error.
func round(b *testing.B, r *rota.Rotator, secrets []*rota.Secret, limits engine.Limits) {
	b.Helper()
	for _, o := range engine.Run(b.Context(), engine.Options{Rotator: r, Secrets: secrets, Limits: limits}) {
		if o.Err != nil {
			b.Fatal(o.Err)
		}
		if len(o.Result.Done) == 0 {
			b.Fatalf("%s was not rotated: %s", o.Secret, o.Result.Last.Reason)
		}
	}
}

// BenchmarkRotationsSQLite rotates 1,000 secrets on in-memory issuers, with
// values, progress and audit in Rota's own store.
func BenchmarkRotationsSQLite(b *testing.B) {
	c := newClock()
	db := open(b, c)
	const count = 1000
	var secrets []*rota.Secret
	for i := range count {
		name := fmt.Sprintf("bench/%04d", i)
		secrets = append(secrets, &rota.Secret{
			Name: name, Systems: []string{name}, Store: db.Secret(name),
			Issuer: memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: c.Now}}),
			Policy: rota.Policy{RotateEvery: 90 * rota.Day},
		})
	}
	r := &rota.Rotator{Journal: db, Now: c.Now, Sleep: func(context.Context, time.Duration) error { return nil }}
	for _, s := range secrets { // issue the first
		if _, err := r.Advance(b.Context(), s, rota.Options{Force: rota.Create}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	rounds := 0
	for b.Loop() {
		c.move(91 * rota.Day)
		round(b, r, secrets, engine.Limits{Workers: 64})
		rounds++
	}
	b.ReportMetric(float64(rounds*count)/b.Elapsed().Seconds(), "rotations/s")
}

// BenchmarkPostgresAgainstFloor rotates real roles, and in the same run, with
// the same concurrency, sets as many passwords in a bare loop of ALTER ROLE,
// and in one that also logs in once with each new password. ratio is rotations
// a second over bare statements a second; ratio-with-login is over statements
// that were proven by a login, without which no rotation may be promoted. The
// server makes its commits durable.
func BenchmarkPostgresAgainstFloor(b *testing.B) {
	for _, concurrency := range []int{1, 8} {
		b.Run(fmt.Sprintf("concurrency %d", concurrency), func(b *testing.B) { postgresAgainstFloor(b, concurrency) })
	}
}

func postgresAgainstFloor(b *testing.B, concurrency int) {
	server := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true})
	c := newClock()
	db := open(b, c)
	server.Exec(b, "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin'", "GRANT SELECT (rolname, rolcanlogin, rolvaliduntil, rolpassword) ON pg_authid TO rota_admin")
	conn, err := postgres.New("bench", postgres.Config{Host: server.Host, Port: server.Port, Database: "postgres", Username: "rota_admin", Password: "admin"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	const count = 64
	var secrets []*rota.Secret
	for i := range count {
		role := fmt.Sprintf("bench_%02d", i)
		server.Exec(b, "CREATE ROLE "+role+" NOLOGIN", "CREATE ROLE floor_"+role+" LOGIN")
		issuer, err := conn.Password(postgres.PasswordConfig{Role: role})
		if err != nil {
			b.Fatal(err)
		}
		secrets = append(secrets, &rota.Secret{
			Name: role, Systems: []string{"bench"}, Issuer: issuer, Store: db.Secret(role), Policy: rota.Policy{RotateEvery: 90 * rota.Day},
		})
	}
	pool, err := pgxpool.New(b.Context(), server.DSN()+fmt.Sprintf("&pool_max_conns=%d", concurrency))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	floor := func(login bool) {
		jobs := make(chan int)
		var wg sync.WaitGroup
		for range concurrency {
			wg.Go(func() {
				for i := range jobs {
					if err := alter(b.Context(), pool, i, fmt.Sprintf("a-clear-password-%d", c.at.Load()), login); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for i := range count {
			jobs <- i
		}
		close(jobs)
		wg.Wait()
	}
	r := &rota.Rotator{Journal: db, Now: c.Now}
	limits := engine.Limits{Workers: concurrency, PerSystem: concurrency}
	round(b, r, secrets, limits)
	floor(true)
	var ours, bare, proven time.Duration
	measure := func(sum *time.Duration, f func()) {
		start := time.Now()
		f()
		*sum += time.Since(start)
	}
	rounds := 0
	b.ResetTimer()
	for b.Loop() {
		c.move(91 * rota.Day)
		measure(&ours, func() { round(b, r, secrets, limits) })
		measure(&bare, func() { floor(false) })
		measure(&proven, func() { floor(true) })
		rounds++
	}
	b.ReportMetric(float64(rounds*count)/ours.Seconds(), "rotations/s")
	b.ReportMetric(float64(rounds*count)/bare.Seconds(), "ALTER-ROLE/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(proven.Seconds()/ours.Seconds(), "ratio-with-login")
}

// alter sets the password of one role, and logs in with it if asked.
func alter(ctx context.Context, pool *pgxpool.Pool, i int, password string, login bool) error {
	role := fmt.Sprintf("floor_bench_%02d", i)
	if _, err := pool.Exec(ctx, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, password)); err != nil || !login {
		return err
	}
	cfg := pool.Config().ConnConfig.Copy()
	cfg.User, cfg.Password = role, password
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
