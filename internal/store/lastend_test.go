package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// statefulTables are restored in this order, and emptied in the reverse one.
var statefulTables = []struct{ name, columns string }{
	{"data_keys", "*"}, {"secrets", "*"}, {"versions", "*"}, {"labels", "*"}, {"progress", "*"}, {"restored", "*"}, {"audit", "seq, entry, hash"}, {"audit_head", "*"},
}

// snapshotOf keeps the state of a database that processes have open, and returns a
// function that puts it back, as a failover to a standby does that was behind.
func snapshotOf(t testing.TB, dir string) (goBack func()) {
	t.Helper()
	do := func(statements ...string) {
		t.Helper()
		other := openAt(t, dir, nil)
		tamper(t, other, statements...)
	}
	var back []string
	for _, table := range statefulTables {
		do("CREATE TABLE then_" + table.name + " AS SELECT " + table.columns + " FROM " + table.name)
		back = append([]string{"DELETE FROM " + table.name}, back...)
	}
	for _, table := range statefulTables {
		into := table.name
		if table.columns != "*" {
			into += " (" + table.columns + ")"
		}
		back = append(back, "INSERT INTO "+into+" SELECT * FROM then_"+table.name)
		if table.name == "audit" {
			back[len(back)-1] += " ORDER BY seq"
		}
	}
	return func() { t.Helper(); do(append(withoutTriggers, back...)...) }
}

func fence(t testing.TB, db *DB, secret string) int64 {
	t.Helper()
	l, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: secret, Holder: "h", TTL: time.Minute})
	must(t, err)
	must(t, db.Journal().Release(t.Context(), l))
	return l.Fence
}

func TestAProcessNoticesThatTheDatabaseWentBack(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		for name, notice := range map[string]func(db *DB) error{
			"at the next write": func(db *DB) error { return db.Audit().Record(t.Context(), entryNo(1)) },
			"by itself":         func(db *DB) error { return db.CheckHistory(t.Context()) },
		} {
			t.Run(name, func(t *testing.T) {
				dir := newDir(t)
				db := openAt(t, dir, nil)
				replica, idle := openAt(t, dir, nil), openAt(t, dir, nil)
				note(t, db, 4)
				fence(t, db, "s")
				goBack := snapshotOf(t, dir)
				note(t, db, 3)
				note(t, replica, 3)
				before := fence(t, db, "s")
				stale, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "turn", TTL: time.Minute})
				must(t, err)
				must(t, db.CheckHistory(t.Context()))
				must(t, idle.CheckHistory(t.Context()))
				goBack()

				if err := notice(db); !errors.Is(err, ErrWentBack) {
					t.Fatalf("%v, want that the database went back", err)
				}
				must(t, notice(db)) // it's over
				if err := db.CheckHistory(t.Context()); (err == nil) != (name == "by itself") {
					t.Errorf("%v, want it reported once", err)
				}
				if at, err := db.RestoredAt(t.Context()); err != nil || at.IsZero() {
					t.Errorf("restored at %v, %v: the secrets aren't compared with the outside world", at, err)
				}
				if err := db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: stale}); !errors.Is(err, rota.ErrFenced) {
					t.Errorf("a lease from before: %v, want it fenced", err)
				}
				if found := tampered(t, db); found.Seq != 5 || !strings.Contains(found.Reason, "went back to an older state") {
					t.Errorf("verify: %v, want the break before entry 5", found)
				}

				// Whoever notices later has nothing to add.
				records, err := db.Audit().Read(t.Context(), AuditQuery{})
				must(t, err)
				if err := replica.CheckHistory(t.Context()); !errors.Is(err, ErrWentBack) {
					t.Errorf("the other replica: %v, want that the database went back", err)
				}
				must(t, replica.CheckHistory(t.Context()))
				if err := idle.CheckHistory(t.Context()); !errors.Is(err, ErrWentBack) {
					t.Errorf("a replica that has only looked: %v, want that the database went back", err)
				}
				again, err := db.Audit().Read(t.Context(), AuditQuery{})
				must(t, err)
				if len(again) != len(records) {
					t.Errorf("%d entries after the second replica noticed, want %d", len(again), len(records))
				}
				if after := fence(t, db, "s"); after <= before || after > 2*restoredFenceGap {
					t.Errorf("fence %d after %d, want one gap between", after, before)
				}

				ack := entryNo(9)
				ack.Actor = "ann"
				if _, err := db.Audit().Acknowledge(t.Context(), ack); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestARestoreThatWasMarkedIsNoBreak(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		note(t, db, 4)
		goBack := snapshotOf(t, dir)
		note(t, db, 3)
		goBack()
		must(t, openAt(t, dir, nil).MarkRestored(t.Context()))
		if err := db.CheckHistory(t.Context()); !errors.Is(err, ErrWentBack) {
			t.Errorf("%v, want that the database went back", err)
		}
		note(t, db, 1)
		if result, err := db.Audit().Verify(t.Context()); err != nil || result.Entries != 6 {
			t.Errorf("verify: %+v, %v, want six entries", result, err)
		}
	})
}

// A process has opened the data key of a secret that the older state doesn't have.
func TestNoValueIsEncryptedWithAKeyThatIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		note(t, db, 4)
		goBack := snapshotOf(t, dir)
		put := func(version string) error {
			lease, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "h", TTL: time.Minute})
			if err != nil {
				return err
			}
			_, err = db.Journal().Commit(t.Context(), rotation.SaveRequest{Lease: lease, Release: true, Entries: []rotation.Entry{entryNo(1)}},
				[]rotation.StoreChange{{Put: &rota.PutRequest{Version: version, Credential: credential(version), Labels: []rota.Label{rota.LabelCurrent}}}})
			return err
		}
		read := func(db *DB, version string) {
			t.Helper()
			if c, err := db.Secret("s").Get(t.Context(), rota.GetRequest{Version: version}); err != nil || !c.Equal(credential(version)) {
				t.Errorf("%s: %v", version, err)
			}
		}
		must(t, put("v1"))
		read(db, "v1") // opens the key
		goBack()
		if err := put("v2"); !errors.Is(err, ErrWentBack) {
			t.Errorf("%v, want that the database went back", err)
		}
		must(t, put("v3"))
		read(db, "v3")
		read(openAt(t, dir, nil), "v3") // as after a restart
	})
}

// Another process wrote the secret that the older state doesn't have, and this one has
// only read it. So it can't notice that the database went back.
func TestNoValueIsEncryptedWithAnothersKeyThatIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		for _, name := range []string{"it puts the secret itself", "another process has put it"} {
			t.Run(name, func(t *testing.T) {
				dir := newDir(t)
				note(t, openAt(t, dir, nil), 4)
				db, writer := openAt(t, dir, nil), openAt(t, dir, nil)
				must(t, db.CheckHistory(t.Context()))
				goBack := snapshotOf(t, dir)
				put := func(db *DB, version string) {
					t.Helper()
					must(t, db.Secret("s").Put(t.Context(), rota.PutRequest{Version: version, Credential: credential(version), Labels: []rota.Label{rota.LabelCurrent}}))
				}
				read := func(db *DB, version string) {
					t.Helper()
					if c, err := db.Secret("s").Get(t.Context(), rota.GetRequest{Version: version}); err != nil || !c.Equal(credential(version)) {
						t.Errorf("%s: %v", version, err)
					}
				}
				note(t, writer, 1)
				put(writer, "v1")
				read(db, "v1") // opens the key
				goBack()
				if name == "another process has put it" {
					if err := writer.CheckHistory(t.Context()); !errors.Is(err, ErrWentBack) {
						t.Errorf("%v, want that the database went back", err)
					}
					put(writer, "v2")
					must(t, db.CheckHistory(t.Context()))
					read(db, "v2")
				}
				put(db, "v3")
				read(db, "v3")
				read(openAt(t, dir, nil), "v3") // as after a restart
			})
		}
	})
}

func TestEveryLeaseIsVoidAfterARestore(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		tamper(t, db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20003)
			INSERT INTO progress (secret, fence, holder, expires_at) SELECT 's' || i, i, 'h', 1 FROM n`)
		must(t, db.MarkRestored(t.Context()))
		var void int
		must(t, db.reader.QueryRowContext(t.Context(), `SELECT count(*) FROM progress WHERE fence > $1 AND fence <= $1 + 20003 AND holder = '' AND expires_at = 0`, restoredFenceGap).Scan(&void))
		if void != 20003 {
			t.Errorf("%d of 20003 leases are void", void)
		}
	})
}
