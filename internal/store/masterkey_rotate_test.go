package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// allFiles is everything that a data folder can contain, including a
// half-written key file.
var allFiles = []string{databaseFile, databaseFile + "-wal", databaseFile + "-shm", keyFile, keyFile + ".new"}

func putMany(t testing.TB, db *DB, n int) {
	t.Helper()
	parallel(t, n, func(i int) error {
		return db.Secret(fmt.Sprintf("s%d", i)).Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential(fmt.Sprint(i)), Labels: []rota.Label{rota.LabelCurrent}})
	})
}

// checkMany reads every value and verifies the audit.
func checkMany(t testing.TB, db *DB, n int) {
	t.Helper()
	parallel(t, n, func(i int) error {
		c, err := db.Secret(fmt.Sprintf("s%d", i)).Get(t.Context(), rota.GetRequest{Version: "v1"})
		if err == nil && !c.Equal(credential(fmt.Sprint(i))) {
			err = fmt.Errorf("s%d has another value", i)
		}
		return err
	})
	_, err := db.Audit().Verify(t.Context())
	must(t, err)
}

func masterKeys(t testing.TB, dir string) int {
	t.Helper()
	m := &master{storage: keyFileStorage(filepath.Join(dir, keyFile))}
	must(t, m.reload(nil))
	return m.handle.Len()
}

func TestMasterKeyRotationSurvivesAKillAnywhere(t *testing.T) {
	const secrets = 2*rewrapBatch + 50
	dir := newDir(t)
	db := openAt(t, dir, nil)
	putMany(t, db, secrets)
	old := copyFiles(t, dir, keyFile)
	before, err := os.ReadFile(filepath.Join(dir, keyFile))
	must(t, err)

	// What a kill would leave at each stage: copies of the files.
	var killed []string
	must(t, db.RotateMasterKey(t.Context(), func(done, total int) {
		if total != secrets+1 {
			t.Errorf("%d data keys, want %d", total, secrets+1)
		}
		if masterKeys(t, dir) != 2 {
			t.Error("not both keys are in the file while the work goes on")
		}
		killed = append(killed, copyFiles(t, dir, allFiles...))
	}))
	if len(killed) != 4 {
		t.Errorf("%d stages, want before the first of three batches and after each", len(killed))
	}
	checkMany(t, db, secrets)
	if masterKeys(t, dir) != 1 {
		t.Error("the old key is still in the file")
	}
	after, err := os.ReadFile(filepath.Join(dir, keyFile))
	must(t, err)
	if string(before) == string(after) {
		t.Error("the key is the old one")
	}

	kept, err := os.ReadFile(db.OldKeyFile())
	must(t, err)
	if string(kept) != string(before) {
		t.Error("the file that's kept isn't the old one")
	}

	// The old key file no longer decrypts anything.
	now := copyFiles(t, dir, allFiles...)
	raw, err := os.ReadFile(filepath.Join(old, keyFile))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(now, keyFile), raw, 0o600))
	if _, err := Open(t.Context(), Options{Dir: now}); err == nil {
		t.Error("the old key file opens the store")
	}

	for i, dir := range killed {
		t.Run(fmt.Sprintf("killed at stage %d", i), func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(dir, keyFile+".new"), []byte("half a key fi"), 0o600))
			db := openAt(t, dir, nil)
			checkMany(t, db, secrets) // the store works on
			first := -1
			must(t, db.RotateMasterKey(t.Context(), func(done, _ int) {
				if first < 0 {
					first = done
				}
			}))
			if want := min(i*rewrapBatch, secrets+1); first != want {
				t.Errorf("it went on from %d, want %d", first, want)
			}
			if masterKeys(t, dir) != 1 {
				t.Error("the old key is still in the file")
			}
			checkMany(t, openAt(t, dir, nil), secrets)
			if _, err := os.Stat(filepath.Join(dir, keyFile+".new")); err == nil {
				t.Error("a half-written key file is left")
			}
		})
	}
}

func TestTheOldMasterKeyStaysUntilTheNewOneHasOpenedEverything(t *testing.T) {
	dir := newDir(t)
	db := openAt(t, dir, nil)
	const secrets = rewrapBatch + 10
	putMany(t, db, secrets)
	var right []byte
	write := func(wrapped []byte) {
		must(t, db.writer.do(t.Context(), keysLock, func(tx *tx) error {
			_, err := tx.exec(sqlUpdateDataKey, auditKeyID, wrapped)
			return err
		}))
	}
	err := db.RotateMasterKey(t.Context(), func(done, total int) {
		if done < total {
			return
		}
		must(t, db.writer.do(t.Context(), keysLock, func(tx *tx) error {
			_, err := tx.row(sqlDataKey, []any{auditKeyID}, &right)
			return err
		}))
		damaged := bytes.Clone(right)
		damaged[len(damaged)-1] ^= 1
		write(damaged)
	})
	if err == nil || !strings.Contains(err.Error(), "doesn't open the data key") {
		t.Errorf("a data key is damaged: %v", err)
	}
	if masterKeys(t, dir) != 2 {
		t.Error("the old key left the key file")
	}
	if db.OldKeyFile() == "" {
		t.Error("the old key file isn't kept")
	}
	write(right)
	must(t, db.RotateMasterKey(t.Context(), nil))
	checkMany(t, db, secrets)
	if masterKeys(t, dir) != 1 {
		t.Error("the old key is still in the file")
	}
}

func TestRotatingTheMasterKeyCanBeCancelledAndResumed(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		putMany(t, db, rewrapBatch+10)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.RotateMasterKey(ctx, func(done, _ int) {
			if done > 0 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		checkMany(t, db, rewrapBatch+10)
		must(t, db.RotateMasterKey(t.Context(), nil))
		if masterKeys(t, dir) != 1 {
			t.Error("the old key is still in the file")
		}
		entries, err := db.Audit().Read(t.Context(), AuditQuery{})
		must(t, err)
		if len(entries) != 2 || entries[0].Entry.Outcome != rotation.OutcomeBegun || entries[1].Entry.Outcome != rotation.OutcomeSucceeded || entries[1].Entry.Actor != "rota" {
			t.Errorf("audit %v, want begun and ok", entries)
		}
	})
}

func TestAKeyFileReplacedWhileOpenIsNotUsed(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir, other := newDir(t), newDir(t)
		db := openAt(t, dir, nil)
		putMany(t, db, 3)
		openAt(t, other, nil)
		right, err := os.ReadFile(filepath.Join(dir, keyFile))
		must(t, err)
		wrong, err := os.ReadFile(filepath.Join(other, keyFile))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, keyFile), wrong, 0o600))
		err = db.Secret("new").Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential("x"), Labels: []rota.Label{rota.LabelCurrent}})
		if err == nil || !contains(hint.Text(err), "doesn't decrypt the data key") {
			t.Errorf("put of a new secret: %v", err)
		}
		if err := db.RotateMasterKey(t.Context(), nil); err == nil || !contains(hint.Text(err), "doesn't decrypt the data key") {
			t.Errorf("rotate the master key: %v", err)
		}
		must(t, os.WriteFile(filepath.Join(dir, keyFile), right, 0o600))
		must(t, db.RotateMasterKey(t.Context(), nil))
		checkMany(t, openAt(t, dir, nil), 3)
	})
}

func TestOtherProcessesKeepWorkingDuringMasterKeyRotation(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db, other := openAt(t, dir, nil), openAt(t, dir, nil)
		putMany(t, db, 20)
		n := 20
		for range 3 {
			must(t, db.RotateMasterKey(t.Context(), func(int, int) {
				// The other process creates a data key with its outdated
				// knowledge.
				must(t, other.Secret(fmt.Sprintf("s%d", n)).Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential(fmt.Sprint(n)), Labels: []rota.Label{rota.LabelCurrent}}))
				n++
			}))
		}
		checkMany(t, other, n)
		checkMany(t, db, n)
		checkMany(t, openAt(t, dir, nil), n)
		parallel(t, 4, func(i int) error {
			return []*DB{db, other}[i%2].RotateMasterKey(t.Context(), nil)
		})
		if masterKeys(t, dir) != 1 {
			t.Error("more than one key is left in the file")
		}
		checkMany(t, openAt(t, dir, nil), n)
	})
}
