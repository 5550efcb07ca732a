package store

import (
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// fleet is several replicas of one store.
type fleet struct {
	*testing.T
	dir string
}

// configured is a configuration with one secret.
func configured(fingerprint string) map[string]string { return map[string]string{"a": fingerprint} }

func (f fleet) start(fingerprint string, want Enrollment) *DB {
	f.Helper()
	db := openAt(f, f.dir, nil)
	if s, ok := db.liveness.(*session); ok {
		s.grace = 0 // the server of these tests stays
	}
	e, err := db.Replicas().Join(f.Context(), configured(fingerprint))
	must(f, err)
	if e != want {
		f.Errorf("started with %s: %+v, want %+v", fingerprint, e, want)
	}
	return db
}

func (f fleet) follow(db *DB, fingerprint string, want Enrollment) {
	f.Helper()
	e, err := db.Replicas().Follow(f.Context(), configured(fingerprint))
	must(f, err)
	if e != want {
		f.Errorf("followed with %s: %+v, want %+v", fingerprint, e, want)
	}
}

func (f fleet) edit(db *DB, fingerprint string) {
	f.Helper()
	_, err := db.Queue().Enroll(f.Context(), configured(fingerprint))
	must(f, err)
}

// end closes a replica, and waits until others notice.
func (f fleet) end(db *DB) {
	f.Helper()
	id := db.liveness.id()
	must(f, db.Close())
	other := openAt(f, f.dir, nil)
	if s, ok := other.liveness.(*session); ok {
		s.grace = 0
	}
	for deadline := time.Now().Add(30 * time.Second); !other.liveness.dead(id); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatal("a replica that was closed still counts as alive")
		}
	}
}

// inForce checks which configuration's worker gets due secrets.
func (f fleet) inForce(db *DB, fingerprint string) {
	f.Helper()
	l, err := db.Journal().Acquire(f.Context(), rotation.AcquireRequest{Secret: "a", Holder: "a", TTL: ttl, Configuration: fingerprint, Due: true})
	if err != nil {
		f.Errorf("%s is not in force: %v", fingerprint, err)
		return
	}
	must(f, db.Journal().Release(f.Context(), l))
}

func TestWhichConfigurationIsActive(t *testing.T) {
	changed, behind := Enrollment{Changed: 1}, Enrollment{Behind: true}
	for _, tt := range []struct {
		name string
		run  func(f fleet)
	}{
		{"a replica that lags does not take an edit back", func(f fleet) {
			a, b := f.start("old", changed), f.start("old", Enrollment{})
			f.edit(a, "new")
			f.follow(b, "old", behind)
			f.follow(a, "new", Enrollment{})
			f.inForce(a, "new")
			f.edit(b, "new")
			f.follow(b, "new", Enrollment{})
			f.inForce(b, "new")
		}},
		{"nor does one that starts again", func(f fleet) {
			a, b := f.start("old", changed), f.start("old", Enrollment{})
			f.edit(a, "new")
			f.end(b)
			f.start("old", behind)
			f.inForce(a, "new")
		}},
		{"a new configuration counts when a replica starts with it", func(f fleet) {
			a := f.start("old", changed)
			b := f.start("new", changed)
			f.follow(a, "old", behind)
			f.inForce(b, "new")
		}},
		{"an edit back counts at once", func(f fleet) {
			a, b := f.start("old", changed), f.start("old", Enrollment{})
			f.edit(a, "new")
			f.edit(b, "new")
			f.edit(a, "old")
			f.follow(b, "new", behind)
			f.inForce(a, "old")
		}},
		{"a rollout that is taken back by starts ends with the last replica of it", func(f fleet) {
			a, b := f.start("old", changed), f.start("old", Enrollment{})
			f.edit(a, "new")
			f.edit(b, "new")
			f.end(a)
			a = f.start("old", behind)
			f.follow(a, "old", behind)
			f.end(b)
			f.follow(a, "old", changed)
			f.inForce(a, "old")
		}},
		{"what the last replica left counts when one starts with an old one", func(f fleet) {
			f.end(f.start("old", changed))
			f.end(f.start("new", changed))
			f.inForce(f.start("old", changed), "old")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, newDir func(testing.TB) string) { tt.run(fleet{t, newDir(t)}) })
		})
	}
}

func TestTheMasterKeyIsNotRotatedUnderReplicasWithCopiesOfIt(t *testing.T) {
	f := fleet{t, newPostgresDir(t)}
	a := f.start("x", Enrollment{Changed: 1})
	must(t, a.RotateMasterKey(t.Context(), nil)) // alone, it picks up the new one itself
	b, c := f.start("x", Enrollment{}), f.start("x", Enrollment{})
	tool := openAt(t, f.dir, nil)
	refused := func(says string) {
		t.Helper()
		if err := tool.RotateMasterKey(t.Context(), nil); !errors.Is(err, ErrReplicasRunning) || !contains(hint.Text(err), says) {
			t.Errorf("rotated under replicas: %v, want it refused: %s", err, says)
		}
	}
	refused("3 replicas ")
	f.end(b)
	f.end(c)
	refused("1 replica ")
	f.end(a)
	must(t, tool.RotateMasterKey(t.Context(), nil))
}

func TestReplicasWithAWrapperPickUpANewMasterKey(t *testing.T) {
	dir, keeper := newPostgresDir(t), &mask{key: 7}
	open := func() *DB {
		db, err := Open(t.Context(), keptBy(dir, keeper))
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	replica, tool := open(), open()
	_, err := replica.Replicas().Join(t.Context(), configured("x"))
	must(t, err)
	must(t, tool.RotateMasterKey(t.Context(), nil))
	must(t, replica.CheckMasterKey(t.Context()))
}
