package postgres_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota/client/postgres"
	"github.com/rota-dev/rota/internal/testenv"
)

// BenchmarkRotationsUnderLoad has a pool of 50 connections, all of them in use, go
// through 1,000 rotations of two alternating roles. After each, the pool closes the old
// login's connections and makes new ones. It reports how many queries failed, for
// whatever reason.
func BenchmarkRotationsUnderLoad(b *testing.B) {
	const connections, rotations = 50, 1000
	for b.Loop() {
		w := newWorld(b)
		config := w.config()
		config.MaxConns, config.MinConns = connections, connections
		pool, err := postgres.NewPool(b.Context(), config, w.secret, postgres.Options{Grace: time.Millisecond})
		if err != nil {
			b.Fatal(err)
		}
		var queries, failed atomic.Int64
		stop := make(chan struct{})
		var workers sync.WaitGroup
		for range connections {
			workers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := pool.Exec(b.Context(), "SELECT pg_sleep(0.005)"); err != nil {
						failed.Add(1)
						b.Log(err)
					}
					queries.Add(1)
				}
			})
		}
		for range rotations {
			w.rotate()
			// The old login stays valid while somebody may still use it. That's also a
			// connection which chose it before the promotion and hasn't logged in yet.
			old, version := w.roles[(w.round+1)%2], fmt.Sprintf("v%d", w.round)
			testenv.Eventually(b, "the client has the new version", func() bool { return w.secret.Status().Version == version })
			testenv.Eventually(b, "no login is under way", func() bool { return pool.Stat().ConstructingConns() == 0 })
			testenv.Eventually(b, "the old login is gone", func() bool { return w.sessions(old) == 0 })
		}
		close(stop)
		workers.Wait()
		opened := pool.Stat().NewConnsCount()
		pool.Close()
		b.ReportMetric(float64(failed.Load()), "failed")
		b.ReportMetric(float64(queries.Load()), "queries")
		b.ReportMetric(float64(opened), "logins")
	}
}
