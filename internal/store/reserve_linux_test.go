package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// smallDisk is a data folder on a disk of its own, and what fills the disk and frees
// it again.
func smallDisk(t *testing.T) (dir string, fill, free func()) {
	t.Helper()
	dir = newDir(t)
	must(t, os.MkdirAll(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		testenv.Missing(t, "a small file system", "mount: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	filler := filepath.Join(dir, "filler")
	fill = func() {
		f, err := os.OpenFile(filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		defer func() { _ = f.Close() }()
		for _, size := range []int{1 << 16, 1 << 12, 1} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
	}
	return dir, fill, func() { must(t, os.Remove(filler)) }
}

func reserved(t *testing.T, dir string) bool {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, reserveFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil && info.Size() == reserveSize
}

// What has begun is written down on a full disk, and nothing more begins.
func TestAFullDiskLetsWhatHasBegunFinish(t *testing.T) {
	dir, fill, free := smallDisk(t)
	db := openAt(t, dir, nil)
	journal := db.Journal()
	lease, err := journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: "app", Holder: "me", TTL: time.Hour})
	must(t, err)
	n := 0
	save := func(step rota.Step, o rotation.Outcome) error {
		n++
		// Much, and never the same, so that the disk takes more.
		p := rotation.Progress{Versions: map[string]rotation.VersionProgress{"v1": {Rejected: strings.Repeat(fmt.Sprint(n), 1<<14)}}}
		return journal.Save(t.Context(), rotation.SaveRequest{Lease: lease, Progress: p, Entries: []rotation.Entry{{Secret: "app", Step: string(step), Outcome: o}}})
	}
	if reserved(t, dir) {
		t.Error("there's a reserve before anything has begun")
	}
	must(t, save(rota.StepSet, rotation.OutcomeBegun))
	if !reserved(t, dir) {
		t.Fatal("a set began without a reserve")
	}
	fill()
	for i := 0; i < 200 && reserved(t, dir); i++ {
		must(t, save(rota.StepSet, rotation.OutcomeSucceeded))
	}
	if reserved(t, dir) {
		t.Fatal("the disk is full, and the reserve isn't needed")
	}
	for _, step := range []rota.Step{rota.StepTest, rota.StepPromote, rota.StepDeliver, rota.StepReload} {
		must(t, save(step, rotation.OutcomeBegun))
		must(t, save(step, rotation.OutcomeSucceeded))
	}
	fill()
	for _, step := range []rota.Step{rota.StepCreate, rota.StepSet, rota.StepRollback} {
		if err := save(step, rotation.OutcomeBegun); err == nil || !strings.Contains(hint.Text(err), "the disk is full: free some space") {
			t.Errorf("%s began on a full disk: %v", step, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, reserveFile+"*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("half a reserve is left: %v", left)
	}
	free()
	must(t, save(rota.StepSet, rotation.OutcomeBegun))
	if !reserved(t, dir) {
		t.Error("the reserve isn't back")
	}
}

// The disk fills in the very moment in which the new password takes the place of the
// old one, where there's no overlap.
func TestARotationEndsOnADiskThatFillsWhenThePasswordIsSet(t *testing.T) {
	dir, fill, _ := smallDisk(t)
	db := openAt(t, dir, nil)
	full := false
	issuer := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Faults: func(c memory.Call) memory.Fault {
		if c.Op == "issuer.set" && full {
			fill()
		}
		return memory.Fault{}
	}}})
	secret := &rotation.Secret{Name: "app", Issuer: issuer, Store: db.Secret("app"), Policy: rotation.Policy{RotateEvery: 90 * rota.Day}}
	rotator := &rotation.Rotator{Journal: db.Journal(), Holder: "me", LeaseTTL: time.Hour}
	for i := range 20 {
		full = i > 0
		r, err := rotator.Advance(t.Context(), secret, rotation.Options{Force: rota.StepCreate})
		if err != nil && !r.Took(rota.StepSet) && full { // it says so, and nothing has happened
			break
		}
		must(t, err)
		if !r.Took(rota.StepPromote) {
			t.Fatalf("rotation %d: %+v", i, r)
		}
	}
	v, ok := rota.Find(contentsOf(t, db), rota.LabelCurrent)
	if !ok {
		t.Fatal("there's no current version")
	}
	c, err := db.Secret("app").Get(t.Context(), rota.GetRequest{Version: v.ID})
	must(t, err)
	if !issuer.Login(c) {
		t.Error("nobody can log in with the current password")
	}
	if reserved(t, dir) {
		t.Error("the disk was never so full that the reserve was needed")
	}
}

func contentsOf(t *testing.T, db *DB) []rota.Version {
	t.Helper()
	contents, err := db.Secret("app").Describe(t.Context())
	must(t, err)
	return contents.Versions
}
