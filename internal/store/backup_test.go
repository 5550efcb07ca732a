package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// copyFiles creates another data folder from the named files.
func copyFiles(t testing.TB, from string, names ...string) string {
	t.Helper()
	to := newDir(t)
	must(t, os.Mkdir(to, 0o700))
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, name), raw, 0o600))
	}
	return to
}

func filled(t testing.TB) (*DB, string) {
	t.Helper()
	dir := newDir(t)
	db := openAt(t, dir, nil)
	must(t, db.Secret("s").Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential("one"), Labels: []rota.Label{rota.LabelCurrent}}))
	note(t, db, 3)
	return db, dir
}

func TestABackupRestores(t *testing.T) {
	db, dir := filled(t)
	backup := filepath.Join(t.TempDir(), "it's a backup.db")
	must(t, db.Backup(t.Context(), backup))
	entries, err := db.Audit().Read(t.Context(), AuditQuery{Secret: "", After: 3})
	must(t, err)
	if len(entries) != 2 || entries[0].Entry.Outcome != rotation.OutcomeBegun || entries[1].Entry.Outcome != rotation.OutcomeSucceeded {
		t.Fatalf("audit %v, want the backup begun and ok", entries)
	}
	info, err := os.Stat(backup)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, want 0600", info.Mode())
	}
	note(t, db, 1) // not in it any more

	other := copyFiles(t, dir, keyFile)
	must(t, Restore(t.Context(), backup, Options{Dir: other}))
	files, err := os.ReadDir(other)
	must(t, err)
	var names []string
	for _, e := range files {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{databaseFile, keyFile}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	restored := openAt(t, other, nil)
	after, err := restored.Audit().Read(t.Context(), AuditQuery{After: 3})
	must(t, err)
	if len(after) != 2 || after[0].Hash != entries[0].Hash || after[1].Entry.Step != "restore" {
		t.Errorf("audit %v, want that of the backup and the restore", after)
	}
	verified, err := restored.Audit().Verify(t.Context())
	must(t, err)
	if verified.Entries != 5 {
		t.Errorf("%d entries verified, want 5", verified.Entries)
	}
	c, err := restored.Secret("s").Get(t.Context(), rota.GetRequest{Version: "v1"})
	must(t, err)
	if !c.Equal(credential("one")) {
		t.Error("another value")
	}
}

func TestABackupNeverOverwrites(t *testing.T) {
	db, dir := filled(t)
	path := filepath.Join(t.TempDir(), "there")
	must(t, os.WriteFile(path, nil, 0o600))
	for _, p := range []string{path, filepath.Join(dir, databaseFile), filepath.Join(dir, "no", "folder")} {
		if err := db.Backup(t.Context(), p); err == nil {
			t.Errorf("a backup to %s", p)
		}
		last, err := db.Audit().Read(t.Context(), AuditQuery{Newest: true, Limit: 1})
		must(t, err)
		if len(last) != 1 || last[0].Entry.Outcome != rotation.OutcomeFailed || last[0].Entry.Object != p {
			t.Errorf("audit %v, want the failed backup", last)
		}
	}
	if raw, err := os.ReadFile(path); err != nil || len(raw) != 0 {
		t.Errorf("the file that was there: %d bytes, %v", len(raw), err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, backup, dir string)
		want string
	}{
		{"a folder with a database", func(t *testing.T, _, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, databaseFile), nil, 0o600))
		}, "rota.db already exists (try: another folder)"},
		{"a folder without the key file", func(t *testing.T, _, dir string) {
			must(t, os.Remove(filepath.Join(dir, keyFile)))
		}, "(try: put the key file from the backup's time into the folder first)"},
		{"another store's key file", func(t *testing.T, _, dir string) {
			_, other := filled(t)
			raw, err := os.ReadFile(filepath.Join(other, keyFile))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, keyFile), raw, 0o600))
		}, "doesn't decrypt the data key"},
		{"a folder that is open to others", func(t *testing.T, _, dir string) {
			must(t, os.Chmod(dir, 0o755))
		}, "chmod 700"},
		{"a backup that was tampered with", func(t *testing.T, backup, _ string) {
			pool, err := openSQLite(backup, 1)
			must(t, err)
			_, err = pool.ExecContext(t.Context(), `DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq = 2`)
			must(t, errors.Join(err, pool.Close()))
		}, "audit entry 2: the entry is missing"},
		{"a backup cut short", func(t *testing.T, backup, _ string) {
			must(t, os.Truncate(backup, 8192))
		}, "damaged"},
		{"a file that is no backup", func(t *testing.T, backup, _ string) {
			must(t, os.Truncate(backup, 0))
		}, "not a backup of a Rota store"},
		{"a backup that is not there", func(t *testing.T, backup, _ string) {
			must(t, os.Remove(backup))
		}, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, from := filled(t)
			backup := filepath.Join(t.TempDir(), "backup.db")
			must(t, db.Backup(t.Context(), backup))
			dir := copyFiles(t, from, keyFile)
			tt.do(t, backup, dir)
			was, err := os.ReadDir(dir)
			must(t, err)
			err = Restore(t.Context(), backup, Options{Dir: dir})
			if err == nil || !contains(hint.Text(err), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			is, err := os.ReadDir(dir)
			must(t, err)
			if len(is) != len(was) {
				t.Errorf("the folder has %d files, had %d", len(is), len(was))
			}
		})
	}
}

func TestARestoredStateIsMarked(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		enroll(t, db, "a")
		old := acquire(t, db, "a", "before")
		must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: old, Progress: rotation.Progress{NextAt: c.now().Add(time.Hour)}}))
		at, err := db.RestoredAt(t.Context())
		must(t, err)
		if !at.IsZero() {
			t.Errorf("restored at %v, though it never was", at)
		}
		c.advance(time.Second)
		must(t, db.MarkRestored(t.Context()))
		if at, err = db.RestoredAt(t.Context()); err != nil || !at.Equal(c.now()) {
			t.Errorf("restored at %v, %v, want now", at, err)
		}
		if got := due(t, db, c.now(), 10); len(got) != 1 {
			t.Errorf("due: %v, want every secret", got)
		}
		if err := db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: old}); !errors.Is(err, rota.ErrFenced) {
			t.Errorf("a lease of before: %v, want %v", err, rota.ErrFenced)
		}
		l := acquire(t, db, "a", "after")
		if l.Fence < old.Fence+restoredFenceGap {
			t.Errorf("fence %d, which may have been given after the backup", l.Fence)
		}
		_, err = db.Audit().Verify(t.Context())
		must(t, err)
	})
}

func TestPostgreSQLStoresAreBackedUpWithTheirOwnTools(t *testing.T) {
	dir := newPostgresDir(t)
	db := openAt(t, dir, nil)
	path := filepath.Join(t.TempDir(), "backup")
	if err := db.Backup(t.Context(), path); err == nil || !contains(hint.Text(err), "(try: pg_dump") {
		t.Errorf("backup: %v", err)
	}
	if err := Restore(t.Context(), path, options(dir, nil)); err == nil || !contains(hint.Text(err), "(try: pg_restore)") {
		t.Errorf("restore: %v", err)
	}
}
