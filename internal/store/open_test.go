package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func TestOpenRefuses(t *testing.T) {
	chmod := func(name string, mode fs.FileMode) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, name), mode)) }
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want string
	}{
		{"a folder that the group may read", chmod("", 0o750), "(try: chmod 700 "},
		{"a database that others may read", chmod("rota.db", 0o604), "(try: chmod 600 "},
		{"a WAL that others may read", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "rota.db-wal"), nil, 0o644))
		}, "(try: chmod 600 "},
		{"a key file that the group may read", chmod("rota.key", 0o640), "(try: chmod 600 "},
		{"a key file that is gone", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "rota.key")))
		}, "is missing, and the database is encrypted with it (try: restore it"},
		{"another store's key file", func(t *testing.T, dir string) {
			other := newDir(t)
			openAt(t, other, nil)
			raw, err := os.ReadFile(filepath.Join(other, "rota.key"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "rota.key"), raw, 0o600))
		}, "doesn't decrypt the data key"},
		{"an empty key file", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "rota.key"), 0))
		}, "is not readable (try: restore the key file"},
		{"a database that is none", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "rota.db"), []byte("this is no database at all, though long enough for a header of one; this is no database at all, really"), 0o600))
		}, "the database is damaged"},
		{"a database of a newer program", func(t *testing.T, dir string) {
			pool, err := openSQLite(filepath.Join(dir, "rota.db"), 1)
			must(t, err)
			_, err = pool.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
			must(t, errors.Join(err, pool.Close()))
		}, "was created by a newer version of Rota"},
		{"a store whose seal was removed", func(t *testing.T, dir string) {
			pool, err := openSQLite(filepath.Join(dir, "rota.db"), 1)
			must(t, err)
			_, err = pool.ExecContext(t.Context(), `DELETE FROM data_keys WHERE id = 'audit'`)
			must(t, errors.Join(err, pool.Close()))
		}, "the audit was tampered with"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := newDir(t)
			db, err := Open(t.Context(), options(dir, nil))
			must(t, err)
			must(t, db.Audit().Record(t.Context(), rotation.Entry{Step: "get"}))
			must(t, db.Close())
			tt.do(t, dir)
			db, err = Open(t.Context(), options(dir, nil))
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), db.Close()))
			}
			if !contains(hint.Text(err), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
		})
	}
}

func TestOpenNeedsAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		if _, err := Open(t.Context(), options(dir, nil)); err == nil {
			t.Errorf("%q was opened", dir)
		}
	}
}

func TestOpenAtTheSameTimeAtTheFirstStart(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		for range 2 {
			dir := newDir(t)
			dbs := make([]*DB, 6)
			parallel(t, len(dbs), func(i int) (err error) {
				dbs[i], err = Open(t.Context(), options(dir, nil))
				return err
			})
			for i, db := range dbs {
				must(t, db.Secret(fmt.Sprint(i)).Put(t.Context(), rota.PutRequest{Version: "v", Credential: credential("x"), Labels: []rota.Label{rota.LabelCurrent}}))
			}
			for i, db := range dbs {
				_, err := db.Secret(fmt.Sprint((i+1)%len(dbs))).Get(t.Context(), rota.GetRequest{Version: "v"})
				must(t, err)
			}
			for _, db := range dbs {
				must(t, db.Close())
			}
		}
	})
}

func TestAFolderWithOddCharactersInItsName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20é&mode=ro")
	db := openAt(t, dir, nil)
	must(t, db.Audit().Record(t.Context(), rotation.Entry{Step: "get"}))
	if _, err := os.Stat(filepath.Join(dir, "rota.db")); err != nil {
		t.Error(err)
	}
}
