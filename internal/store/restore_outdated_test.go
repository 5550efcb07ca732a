package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// The restored store has a password that was rotated after the backup and no
// longer works: nobody gets it, and a person's rotation fixes that.
func TestAnOutdatedRestoredStoreHandsOutNothing(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	issuer := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: clock}})
	target := memory.NewTarget("app", memory.Options{Now: clock})
	advance := func(db *DB, force rota.Step) rotation.Result {
		t.Helper()
		r := &rotation.Rotator{Journal: db.Journal(), Now: clock, Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }}
		s := &rotation.Secret{Name: "s", Issuer: issuer, Store: db.Secret("s"), Targets: []rota.Target{target}, Policy: rotation.Policy{RotateEvery: 30 * rota.Day}}
		result, err := r.Advance(t.Context(), s, rotation.Options{Force: force})
		must(t, err)
		return result
	}
	restored := func(dir, backup string) *DB {
		t.Helper()
		other := copyFiles(t, dir, keyFile)
		must(t, Restore(t.Context(), backup, Options{Dir: other, Now: clock}))
		return openAt(t, other, clock)
	}
	dir := newDir(t)
	db := openAt(t, dir, clock)
	advance(db, rota.StepCreate)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, db.Backup(t.Context(), backup))

	now = now.Add(time.Hour)
	fresh := restored(dir, backup)
	if r := advance(fresh, rota.StepNone); r.Last.Hold != rotation.HoldNone {
		t.Errorf("what was restored is in force, and yet: %s", r.Last.Reason)
	}
	snapshot, err := fresh.Journal().Load(t.Context(), "s")
	p := snapshot.Progress
	must(t, err)
	if !p.ComparedAt.Equal(now) {
		t.Errorf("compared at %v, want %v", p.ComparedAt, now)
	}

	now = now.Add(31 * rota.Day)
	advance(db, rota.StepNone)
	delivered := len(target.History())
	outdated := restored(dir, backup)
	r := advance(outdated, rota.StepNone)
	if r.Last.Hold != rotation.HoldOutdated || len(r.Done) > 0 || len(target.History()) != delivered {
		t.Errorf("an outdated store: %+v", r)
	}
	if r := advance(outdated, rota.StepCreate); len(r.Done) == 0 {
		t.Errorf("a person's rotation: %s", r.Last.Reason)
	}
	if r := advance(outdated, rota.StepNone); r.Last.Hold != rotation.HoldNone {
		t.Errorf("after it: %s", r.Last.Reason)
	}
	c, err := outdated.Secret("s").Describe(t.Context())
	must(t, err)
	current, _ := rota.Find(c.Versions, rota.LabelCurrent)
	value, err := outdated.Secret("s").Get(t.Context(), rota.GetRequest{Version: current.ID})
	must(t, err)
	if !issuer.Login(value) {
		t.Error("the new password does not log in")
	}
}
