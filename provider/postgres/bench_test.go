package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// spread runs do b.N times, n at a time; worker tells whose turn it is.
func spread(b *testing.B, n int, do func(worker int) error) {
	b.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for w := range n {
		workers.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := do(w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// BenchmarkRotation is Create, Set and Test of as many secrets at once as it
// says, on a server that writes to disk. The metric tells how much longer that
// takes than the least that anybody can do: ALTER ROLE on a kept session.
func BenchmarkRotation(b *testing.B) {
	s := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true})
	for _, n := range []int{1, 8} {
		for _, strategy := range []string{"password", "alternating"} {
			b.Run(fmt.Sprintf("%s/%d at once", strategy, n), func(b *testing.B) {
				c := admin(b, s)
				issuers := make([]rota.Issuer, n)
				names := make([]string, n)
				for w := range n {
					cfg := pair(b, s)
					names[w] = cfg.Roles[0]
					if strategy == "password" {
						issuers[w] = must(c.Password(PasswordConfig{Role: names[w]}))
					} else {
						issuers[w] = must(c.Alternating(cfg))
					}
				}
				bare := bareAlterRole(b, s, names)
				b.ResetTimer()
				spread(b, n, func(w int) error { return rotateOnce(b.Context(), issuers[w]) })
				b.StopTimer()
				each := b.Elapsed().Seconds() / float64(b.N)
				b.ReportMetric(1/each, "rotations/s")
				b.ReportMetric(bare.Seconds()*1000, "bare-ms")
				b.ReportMetric(each/bare.Seconds(), "x-bare")
			})
		}
	}
}

func rotateOnce(ctx context.Context, i rota.Issuer) error {
	c, err := i.Create(ctx, rota.CreateRequest{})
	if err == nil {
		err = i.Set(ctx, rota.SetRequest{Credential: c})
	}
	if err == nil {
		err = i.Test(ctx, rota.TestRequest{Credential: c})
	}
	return err
}

// bareAlterRole is the time of one ALTER ROLE, with a verifier made before,
// where each role has a worker with a session of its own.
func bareAlterRole(b *testing.B, s *testenv.PostgresServer, names []string) time.Duration {
	b.Helper()
	cfg := must(pgxpool.ParseConfig(s.DSN()))
	cfg.MaxConns, cfg.MinConns = int32(len(names)), int32(len(names))
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	pool := must(pgxpool.NewWithConfig(b.Context(), cfg))
	defer pool.Close()
	hash := must(verifier("made-before-the-clock-runs"))
	const rounds = 200
	round := func(rounds int) {
		var workers sync.WaitGroup
		for _, name := range names {
			workers.Go(func() {
				for range rounds {
					if _, err := pool.Exec(b.Context(), "ALTER ROLE "+quote(name)+" PASSWORD '"+hash+"'"); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		workers.Wait()
	}
	round(5)
	begun := time.Now()
	round(rounds)
	return time.Since(begun) / time.Duration(rounds*len(names))
}

// BenchmarkParts is what a rotation is made of.
func BenchmarkParts(b *testing.B) {
	s := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true})
	c := admin(b, s)
	cfg := pair(b, s)
	i := must(c.Alternating(cfg))
	first := rotate(b, i)
	rotate(b, i, cfg.Roles[0])
	name, ctx := cfg.Roles[0], b.Context()
	su := must(pgx.Connect(ctx, s.DSN()+"&default_query_exec_mode=simple_protocol"))
	defer su.Close(ctx)
	part := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	part("verifier", func() error { _, err := verifier("0123456789abcdef0123456789abcdef"); return err })
	part("create", func() error { _, err := i.Create(ctx, rota.CreateRequest{}); return err })
	part("round trip", func() error { _, err := su.Exec(ctx, "SELECT 1"); return err })
	hash := must(verifier(first.Field(rota.FieldPassword)))
	part("ALTER ROLE with a verifier", func() error {
		_, err := su.Exec(ctx, "ALTER ROLE "+quote(name)+" PASSWORD '"+hash+"'")
		return err
	})
	part("ALTER ROLE with a clear password", func() error {
		_, err := su.Exec(ctx, "ALTER ROLE "+quote(name)+" PASSWORD '"+first.Field(rota.FieldPassword)+"'")
		return err
	})
	// Without a password the server does not look whether it is empty, which
	// takes it as many iterations as the verifier says.
	part("ALTER ROLE of the validity only", func() error {
		_, err := su.Exec(ctx, "ALTER ROLE "+quote(name)+" VALID UNTIL 'infinity'")
		return err
	})
	part("set", func() error { return i.Set(ctx, rota.SetRequest{Credential: first}) })
	part("login only", func() error {
		return c.login(ctx, first, func(context.Context, *pgconn.PgConn) error { return nil })
	})
	part("login that is trusted, without SCRAM", func() error {
		conn, err := pgx.Connect(ctx, s.DSN())
		if err == nil {
			err = conn.Close(ctx)
		}
		return err
	})
	part("test, login and rights", func() error { return i.Test(ctx, rota.TestRequest{Credential: first}) })
	part("list", func() error { return calls(i, first)["list"](ctx) })
	part("last used", func() error { return calls(i, first)["last used"](ctx) })
	tables := 5000
	s.Exec(b, fmt.Sprintf("DO $$ BEGIN FOR n IN 1..%d LOOP EXECUTE format('CREATE TABLE bench_%%s (id int)', n); EXECUTE format('GRANT ALL ON bench_%%s TO %s', n); END LOOP; END $$", tables, cfg.Group))
	part(fmt.Sprintf("test with %d tables", tables), func() error { return i.Test(ctx, rota.TestRequest{Credential: first}) })
}
