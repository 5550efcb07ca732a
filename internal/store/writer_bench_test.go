package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// BenchmarkWriters saves progress, each time with an audit entry, for many
// secrets at once on PostgreSQL: with the writer as it is, with a group commit
// whose requests run one after another, and with one transaction per save on a
// connection of its own. Every round measures all three, in turn.
//
//	go test -run '^$' -bench Writers -benchtime 15x ./internal/store
func BenchmarkWriters(b *testing.B) {
	server := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true, Settings: map[string]string{"max_connections": "200"}})
	for _, concurrent := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d concurrent", concurrent), func(b *testing.B) { compareWriters(b, server.NewDatabase(b), concurrent) })
	}
}

func compareWriters(b *testing.B, dsn string, concurrent int) {
	writers := []struct {
		name string
		loop func(*committer) // nil for the writer as it is
		n    int
	}{
		{"interleaved", nil, 0},
		{"sequential", (*committer).sequentialLoop, postgresCommitters},
		{"plain", (*committer).plainLoop, min(concurrent, 16)},
	}
	key := filepath.Join(b.TempDir(), "key") // all three open one store
	saves := make([]func(n int) time.Duration, len(writers))
	for i, w := range writers {
		db, err := Open(b.Context(), Options{Dir: newDir(b), DSN: dsn, KeyFile: key})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		if w.loop != nil {
			db.replaceWriter(b, dsn, w.n, w.loop)
		}
		saves[i] = db.timeSaves(b, w.name, concurrent)
	}
	rates := make([][]float64, len(writers))
	const perRound = 20 // saves of each secret
	for round := 0; b.Loop(); round++ {
		for k := range writers {
			i := (round + k) % len(writers) // no writer is always the first
			rates[i] = append(rates[i], float64(concurrent*perRound)/saves[i](perRound).Seconds())
		}
	}
	median := func(all []float64) float64 { slices.Sort(all); return all[len(all)/2] }
	for i, w := range writers {
		b.ReportMetric(median(rates[i]), w.name+"-saves/s")
	}
	b.ReportMetric(median(rates[0])/median(rates[1]), "x-sequential")
	b.ReportMetric(median(rates[0])/median(rates[2]), "x-plain")
	b.ReportMetric(0, "ns/op")
}

// timeSaves leases so many secrets and returns a function that saves each of
// them n times, concurrently, and returns how long that took.
func (db *DB) timeSaves(b *testing.B, name string, concurrent int) func(n int) time.Duration {
	leases := make([]rotation.Lease, concurrent)
	for i := range leases {
		var err error
		leases[i], err = db.Journal().Acquire(b.Context(), rotation.AcquireRequest{Secret: fmt.Sprintf("%s/%d", name, i), Holder: name, TTL: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
	}
	return func(n int) time.Duration {
		begin := time.Now()
		var wg sync.WaitGroup
		for _, l := range leases {
			wg.Go(func() {
				for range n {
					if err := db.Journal().Save(b.Context(), rotation.SaveRequest{Lease: l, Entries: []rotation.Entry{{Secret: l.Secret, Step: "deliver"}}}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return time.Since(begin)
	}
}

// replaceWriter makes a store write in a different way, on so many connections.
func (db *DB) replaceWriter(b *testing.B, dsn string, conns int, loop func(*committer)) {
	config, err := parseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	if err := db.writer.close(); err != nil {
		b.Fatal(err)
	}
	writerConn := &postgresConnection{pool: openPostgres(config, conns, sqlWriterSettings), clock: db.clock}
	w := &writer{
		connection: writerConn, dialect: db.dialect, statementTimeout: statementTimeout, seals: db.keys,
		queue: make(chan *request), closing: make(chan struct{}), auditTurn: make(chan struct{}, 1),
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	for range conns {
		conn, err := writerConn.connect(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		l := &committer{writer: w, conn: conn}
		w.committers = append(w.committers, l)
		w.ended.Go(func() { loop(l) })
	}
	db.writer = w
}

// plainLoop gives each request a transaction of its own.
func (l *committer) plainLoop() {
	for {
		select {
		case <-l.closing:
			return
		case r := <-l.queue:
			if r.taken.CompareAndSwap(false, true) {
				refusal, err := l.retryAlone(r)
				r.result <- errors.Join(refusal, err)
			}
		}
	}
}

// sequentialLoop runs the waiting requests in one transaction, one after
// another, each with its own round trips. It doesn't handle refusals.
func (l *committer) sequentialLoop() {
	for {
		var first *request
		if len(l.deferred) > 0 {
			first, l.deferred = l.deferred[0], l.deferred[1:]
		} else {
			select {
			case <-l.closing:
				return
			case first = <-l.queue:
			}
		}
		t, err := l.begin(first.lock)
		batch, all := []*request{first}, []*request{first}
		for err == nil && len(batch) > 0 {
			for _, r := range batch {
				if r.taken.CompareAndSwap(false, true) && err == nil {
					_, err = t.attempt(r)
				}
			}
			if err == nil {
				batch, err = l.admit(t, maxBatch-len(all))
				all = append(all, batch...)
			}
			if err == nil && len(batch) == 0 && !l.acquireTurn(maxBatch-len(all)) {
				if batch, err = l.admit(t, maxBatch-len(all)); len(batch) == 0 {
					break
				}
				all = append(all, batch...)
			}
		}
		if err == nil {
			err = t.commit()
		}
		for _, r := range all {
			r.result <- err
		}
	}
}
