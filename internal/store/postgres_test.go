//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// count is a worker that counts in a secret's progress, each time under a
// lease, with an audit entry that names the number. It tolerates transient
// errors: a busy lease, a lost one, and errors classified as such.
func count(ctx context.Context, db *DB, name, holder string, until func() bool) error {
	for !until() {
		l, err := db.Journal().Acquire(ctx, rotation.AcquireRequest{Secret: name, Holder: holder, TTL: ttl})
		if err != nil {
			if rota.ClassOf(err) != rota.ClassWait {
				return err
			}
			continue
		}
		snapshot, err := db.Journal().Load(ctx, name)
		p := snapshot.Progress
		if err == nil {
			p.Rejections++ // serves as a counter here
			err = db.Journal().Save(ctx, rotation.SaveRequest{Lease: l, Progress: p,
				Entries: []rotation.Entry{{Secret: name, Version: fmt.Sprintf("v%d", p.Rejections)}}})
		}
		if err != nil && rota.ClassOf(err) != rota.ClassWait {
			return err
		}
		if err := db.Journal().Release(ctx, l); err != nil && rota.ClassOf(err) != rota.ClassWait {
			return err
		}
	}
	return nil
}

// counted checks that every number has exactly one audit entry, in order, and
// returns the highest.
func counted(t *testing.T, db *DB, name string) int {
	t.Helper()
	snapshot, err := db.Journal().Load(t.Context(), name)
	p := snapshot.Progress
	must(t, err)
	records, err := db.Audit().Read(t.Context(), AuditQuery{Secret: name, Limit: 1 << 30})
	must(t, err)
	for i, r := range records {
		if want := fmt.Sprintf("v%d", i+1); r.Entry.Version != want {
			t.Fatalf("%s: entry %d is of %s, want %s", name, i, r.Entry.Version, want)
		}
	}
	if len(records) != p.Rejections {
		t.Errorf("%s: %d entries, and counted to %d", name, len(records), p.Rejections)
	}
	return p.Rejections
}

// replicas counts in four secrets from two replicas, four workers each, while
// disturb interferes, and checks that nothing was lost or done twice.
func replicas(t *testing.T, dir string, disturb func()) {
	t.Helper()
	dbs := []*DB{openAt(t, dir, nil), openAt(t, dir, nil)}
	var stop atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			errs[i] = count(t.Context(), dbs[i%2], fmt.Sprintf("s%d", i/4), fmt.Sprint("holder ", i), stop.Load)
		})
	}
	// advances waits until five more are counted.
	advances := func() {
		t.Helper()
		first := -1
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			snapshot, err := dbs[0].Journal().Load(t.Context(), "s0")
			p := snapshot.Progress
			if err == nil && first < 0 {
				first = p.Rejections
			}
			if err == nil && p.Rejections >= first+5 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("counted from %d to %d within a minute; %v", first, p.Rejections, err)
				return
			}
		}
	}
	advances()
	disturb()
	advances()
	stop.Store(true)
	wg.Wait()
	must(t, errors.Join(errs...))
	total := 0
	for i := range 4 {
		total += counted(t, dbs[i%2], fmt.Sprintf("s%d", i))
	}
	for _, db := range dbs {
		verified, err := db.Audit().Verify(t.Context())
		must(t, err)
		if verified.Entries != total {
			t.Errorf("%d entries verified, want %d", verified.Entries, total)
		}
	}
}

func TestReplicasLoseNoUpdate(t *testing.T) {
	replicas(t, newPostgresDir(t), func() {})
}

func TestReplicasSurviveTerminatedConnections(t *testing.T) {
	dir := newPostgresDir(t)
	replicas(t, dir, func() {
		for range 10 {
			server.Get(t).Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rota' AND datname = '`+databaseOf(t, dir)+`'`)
			time.Sleep(20 * time.Millisecond) // for work to get going again
		}
	})
}

func databaseOf(t *testing.T, dir string) string {
	t.Helper()
	config, err := parseDSN(options(dir, nil).DSN)
	must(t, err)
	return config.Database
}

func TestReplicasSurviveARestartOfTheServer(t *testing.T) {
	own := testenv.Postgres(t, testenv.PostgresOptions{})
	replicas(t, dirAt(t, own.NewDatabase(t)), func() { own.Restart(t) })
}

func TestAWriteWaitsForAnUnreachableServer(t *testing.T) {
	own := testenv.Postgres(t, testenv.PostgresOptions{})
	db := openAt(t, dirAt(t, own.NewDatabase(t)), nil)
	note(t, db, 1)
	own.Restart(t)
	note(t, db, 1) // on a connection that was lost while it was idle
}

func TestExactlyOneReplicaGetsALease(t *testing.T) {
	dir := newPostgresDir(t)
	dbs := []*DB{openAt(t, dir, nil), openAt(t, dir, nil), openAt(t, dir, nil)}
	for round := range 20 {
		var winners atomic.Int32
		parallel(t, 9, func(i int) error {
			_, err := dbs[i%3].Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: fmt.Sprint(round), Holder: fmt.Sprint(i), TTL: ttl})
			if err == nil {
				winners.Add(1)
			} else if !errors.Is(err, rota.ErrBusy) {
				return err
			}
			return nil
		})
		if n := winners.Load(); n != 1 {
			t.Errorf("round %d: %d have the lease", round, n)
		}
	}
}

func TestTheClockIsTheServers(t *testing.T) {
	dir := newPostgresDir(t)
	db := openAt(t, dir, nil)
	l := acquire(t, db, "s", "a")
	var server time.Time
	must(t, db.reader.QueryRowContext(t.Context(), `SELECT clock_timestamp()`).Scan(&server))
	for name, at := range map[string]time.Time{"the lease": l.Expires.Add(-ttl), "the store's time": db.Now()} {
		if d := server.Sub(at).Abs(); d > 30*time.Second {
			t.Errorf("%s is %v off the server's", name, d)
		}
	}
	// The next write corrects a clock that is wrong.
	db.clock.offset.Store(int64(time.Hour))
	note(t, db, 1)
	if d := time.Duration(db.clock.offset.Load()).Abs(); d > 30*time.Second {
		t.Errorf("off by %v after a write", d)
	}
}

func TestALostCommitIsResolved(t *testing.T) {
	dir := newPostgresDir(t)
	openAt(t, dir, nil)
	config, err := parseDSN(options(dir, nil).DSN)
	must(t, err)
	conn := &postgresConnection{pool: openPostgres(config, 2, sqlWriterSettings), clock: &timeSource{}}
	t.Cleanup(func() { must(t, conn.close()) })
	id := func(query string) string {
		var id string
		must(t, conn.pool.QueryRowContext(t.Context(), query).Scan(&id))
		return id
	}
	committed := id(`SELECT pg_current_xact_id()::text`)
	undone, err := conn.pool.BeginTx(t.Context(), nil)
	must(t, err)
	var aborted string
	must(t, undone.QueryRowContext(t.Context(), `SELECT pg_current_xact_id()::text`).Scan(&aborted))
	must(t, undone.Rollback())
	none, gone := head{}, head{seq: 7}
	for _, tt := range []struct {
		name, id   string
		known, end head // of the audit, before it and by it
		want       error
	}{
		{"that was done", committed, none, none, nil},
		{"that was undone", aborted, none, none, errRolledBack},
		{"that the server does not know yet", id(`SELECT (pg_current_xact_id()::text::bigint + 1000000)::text`), none, none, errRolledBack},
		{"whose id another one got from a server that was behind", committed, none, gone, errRolledBack},
		{"without entries, at a server that was behind", committed, gone, none, ErrUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &writer{}
			w.lastEnd.note(tt.known, time.Now(), false)
			if err := conn.resolveCommit(t.Context(), &tx{id: tt.id, end: tt.end, committer: &committer{writer: w}}); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestTheLeaseOfAKilledReplicaIsFreeAtOnce(t *testing.T) {
	dir := newPostgresDir(t)
	h := startHolder(t, dir)
	db := openAt(t, dir, nil)
	db.liveness.(*session).grace = 0 // the server was only just started
	busy(t, db, "b")
	h.signal(t, syscall.SIGKILL)
	_ = h.cmd.Wait()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		l, err := db.Journal().Acquire(t.Context(), asks("b"))
		if err == nil {
			if l.Fence <= h.fence {
				t.Errorf("fence %d after %d", l.Fence, h.fence)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the dead replica's lease is not free, though the server has seen its end: ", err)
		}
	}
}

func TestAStoppedReplicaKeepsItsLeaseAndIsFencedAfterIt(t *testing.T) {
	dir, c := newPostgresDir(t), newClock()
	c.at = time.Now()
	h := startHolder(t, dir)
	h.signal(t, syscall.SIGSTOP)
	db := openAt(t, dir, c.now)
	db.liveness.(*session).grace = 0
	busy(t, db, "b")
	c.advance(2 * time.Hour)
	_, err := db.Journal().Acquire(t.Context(), asks("b"))
	must(t, err)
	h.signal(t, syscall.SIGCONT)
	_, err = io.WriteString(h.in, "save\n")
	must(t, err)
	if got := h.says(t); got != "fenced" {
		t.Errorf("the one that woke up says %q", got)
	}
}

func TestALostSessionIsRegainedAndNobodyCountsAsDeadMeanwhile(t *testing.T) {
	dir := newPostgresDir(t)
	db, other := openAt(t, dir, nil), openAt(t, dir, nil)
	db.liveness.(*session).grace, other.liveness.(*session).grace = 0, time.Hour
	name := db.liveness.id()
	end := fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
		AND (classid::bigint << 32) | objid::bigint = %d`, lockNumber("instance", name))
	_, err := other.reader.ExecContext(t.Context(), end)
	must(t, err)
	server.Get(t).Exec(t, fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' AND query LIKE '%%pg_advisory_lock%%' AND pid <> pg_backend_pid()`, databaseOf(t, dir)))
	if other.liveness.dead(name) {
		t.Error("the living counts as dead for one that was just cut off itself, or whose server just started")
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if db.liveness.id() == name && other.liveness.id() != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the session does not come back")
		}
	}
	other.liveness.(*session).grace = 0
	if other.liveness.dead(name) {
		t.Error("the one that is back counts as dead")
	}
}

func TestOpenOnPostgreSQLRefuses(t *testing.T) {
	dir := newPostgresDir(t)
	db := openAt(t, dir, nil)
	must(t, db.writer.do(t.Context(), "", func(t *tx) error {
		_, err := t.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
		return err
	}))
	empty := options(newPostgresDir(t), nil)
	empty.ManualMigrations = true
	for _, tt := range []struct {
		name string
		o    Options
		want string
		is   error
	}{
		{"tables of a newer program", options(dir, nil), "was created by a newer version of Rota", errNewer},
		{"tables that a person is to make", empty, "(try: rota migrate)", ErrPending},
		{"an address that can't be read", Options{Dir: newDir(t), DSN: "postgres://u:s3cr3tpw@h:port/db"}, "the database's URL can't be parsed", nil},
		{"a database that is not there", Options{Dir: newDir(t), DSN: server.Get(t).DatabaseDSN("nosuch")}, "(try: createdb)", nil},
		{"a place without a key", Options{DSN: options(dir, nil).DSN}, "no data folder given", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), tt.o)
			if err == nil || !contains(hint.Text(err), tt.want) || contains(hint.Text(err), "s3cr3tpw") || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	empty.ManualMigrations = false
	must(t, Migrate(t.Context(), empty))
	empty.ManualMigrations = true
	db, err := Open(t.Context(), empty)
	must(t, err)
	must(t, db.Close())
}
