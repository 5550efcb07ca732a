package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/accesstest"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// audited is a directory together with the store's audit.
type audited struct {
	access.Directory
	Audit
	t testing.TB
}

func (a audited) Entries() []rotation.Entry {
	a.t.Helper()
	records, err := a.Read(a.t.Context(), AuditQuery{})
	must(a.t, err)
	var entries []rotation.Entry
	for _, r := range records {
		entries = append(entries, r.Entry)
	}
	return entries
}

func TestDirectorySuite(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		accesstest.Run(t, func(t *testing.T) accesstest.Directory {
			db := openAt(t, newDir(t), nil)
			return audited{db.Directory(), db.Audit(), t}
		})
	})
}

// If several replicas bootstrap, one creates the first administrator; if two
// administrators remove each other, one stays.
func TestAccessOnSeveralReplicas(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		var replicas []*access.Administration
		for range 3 {
			db := openAt(t, dir, nil)
			replicas = append(replicas, access.NewAdministration(db.Directory(), db.Audit(), nil))
		}
		// all calls every replica concurrently and counts the successes.
		all := func(act func(int, *access.Administration) error, refusal error) {
			t.Helper()
			var did atomic.Int32
			var group sync.WaitGroup
			for i, a := range replicas {
				group.Go(func() {
					switch err := act(i, a); {
					case err == nil:
						did.Add(1)
					case !errors.Is(err, refusal):
						t.Errorf("replica %d: %v, want %v", i, err, refusal)
					}
				})
			}
			group.Wait()
			if want := int32(len(replicas)); refusal == nil && did.Load() != want || refusal == access.ErrExists && did.Load() != 1 ||
				refusal == access.ErrLastAdministrator && did.Load() != want-1 {
				t.Errorf("%d replicas did it, %d are, refusals: %v", did.Load(), want, refusal)
			}
		}
		root := access.Local("root")
		all(func(_ int, a *access.Administration) error { _, err := a.Bootstrap(t.Context()); return err }, access.ErrExists)
		names := []string{access.FirstAdministrator, "b", "c"}
		all(func(i int, a *access.Administration) error {
			if i == 0 {
				return nil
			}
			if err := a.Create(t.Context(), root, names[i], root.Rules...); err != nil {
				return err
			}
			_, err := a.CreateKey(t.Context(), root, names[i], time.Time{})
			return err
		}, nil)
		all(func(i int, a *access.Administration) error { return a.Delete(t.Context(), root, names[i]) }, access.ErrLastAdministrator)
	})
}

// A stolen database is useless, and so is a key moved to another principal in
// it. A new master key doesn't affect logins.
func TestAccessKeysAtRest(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		admin := access.NewAdministration(db.Directory(), db.Audit(), nil)
		issued, err := admin.Bootstrap(t.Context())
		must(t, err)
		must(t, admin.Create(t.Context(), access.Local("root"), "other"))
		must(t, db.RotateMasterKey(t.Context(), nil))
		login, err := db.Directory().Login(t.Context(), issued.Key.ID)
		must(t, err)
		if !login.Secret.Equal(issued.Secret.Reveal()) {
			t.Error("the secret is another after the master key was rotated")
		}

		var sealed []byte
		must(t, db.reader.QueryRowContext(t.Context(), `SELECT secret FROM access_keys`).Scan(&sealed))
		if bytes.Contains(sealed, []byte(issued.Secret.Reveal())) {
			t.Error("the database holds the secret as it is")
		}
		must(t, db.writer.do(t.Context(), accessLock, func(tx *tx) error {
			_, err := tx.exec(`UPDATE access_keys SET principal = 'other'`)
			return err
		}))
		if _, err := db.Directory().Login(t.Context(), issued.Key.ID); err == nil || !strings.Contains(hint.Text(err), "tampered") {
			t.Errorf("a key that was moved to somebody else: %v", err)
		}

		must(t, db.Close())
		files, err := filepath.Glob(filepath.Join(dir, "rota.*"))
		must(t, err)
		if len(files) == 0 {
			t.Fatalf("no files in %s", dir)
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			must(t, err)
			if bytes.Contains(content, []byte(issued.Secret.Reveal())) {
				t.Errorf("%s holds the secret as it is", f)
			}
		}
	})
}
