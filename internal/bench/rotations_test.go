package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
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
	return openAt(b, c, "")
}

// openAt opens a store in a PostgreSQL database, or in SQLite for "".
func openAt(b *testing.B, c *clock, dsn string) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{Dir: filepath.Join(b.TempDir(), "state"), DSN: dsn, Now: c.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// round rotates every secret once and fails on any error.
func round(b *testing.B, r *rotation.Rotator, secrets []*rotation.Secret, limits engine.Limits) {
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

// BenchmarkRotations rotates 1,000 secrets on in-memory issuers, with values,
// progress and audit in Rota's own store.
func BenchmarkRotations(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { rotations(b, "") })
	b.Run("PostgreSQL", func(b *testing.B) {
		rotations(b, testenv.Postgres(b, testenv.PostgresOptions{Fsync: true}).DSN())
	})
}

func rotations(b *testing.B, dsn string) {
	c := newClock()
	db := openAt(b, c, dsn)
	const count = 1000
	var secrets []*rotation.Secret
	for i := range count {
		name := fmt.Sprintf("bench/%04d", i)
		secrets = append(secrets, &rotation.Secret{
			Name: name, Systems: []string{name}, Store: db.Secret(name),
			Issuer: memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: c.Now}}),
			Policy: rotation.Policy{RotateEvery: 90 * rota.Day},
		})
	}
	r := &rotation.Rotator{Journal: db.Journal(), Now: c.Now, Sleep: func(context.Context, time.Duration) error { return nil }}
	for _, s := range secrets { // issue the first
		if _, err := r.Advance(b.Context(), s, rotation.Options{Force: rota.StepCreate}); err != nil {
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
