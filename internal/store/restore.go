package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// restoredFenceGap is added to the fences of a restored database, so that no
// fence issued between the backup and the restore is issued again.
const restoredFenceGap = 1_000_000_000

// Restore installs a backup in the data folder of a store on SQLite. The folder
// must contain its key file, unless a Wrapper protects the key, and no
// database. Restore succeeds only if the backup is intact, the key opens it and
// its audit verifies. It marks the restored database as [DB.MarkRestored] does.
func Restore(ctx context.Context, backupPath string, o Options) error {
	if err := restore(ctx, backupPath, o.withDefaults()); err != nil {
		return fmt.Errorf("restore %s to %s: %w", backupPath, o.location(), err)
	}
	return nil
}

func restore(ctx context.Context, backupPath string, o Options) (err error) {
	if o.DSN != "" {
		return rota.WithRemedies(errors.New("restore a store on PostgreSQL with PostgreSQL's own tools"), rota.Outside("pg_restore"))
	}
	dir := o.Dir
	path := filepath.Join(dir, databaseFile)
	if err := checkFolder(dir, o.Volume); err != nil {
		return hintMissing(err, "create the folder with mode 0700 and put the backup's key file in it as "+keyFile)
	}
	for _, p := range []string{path, path + "-wal"} {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(rota.WithRemedies(fmt.Errorf("%s already exists", p), rota.Outside("another folder")), err)
		}
	}
	next := path + ".restore"
	if err := copyFile(backupPath, next); err != nil {
		return err
	}
	defer func() {
		for _, p := range []string{next, next + "-wal", next + "-shm"} {
			if e := os.Remove(p); !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	k := &keys{master: o.master()}
	if err := checkBackup(ctx, next, k); err != nil {
		return err
	}
	if err := markBackup(ctx, next, k, o); err != nil {
		return err
	}
	// Unlike a rename, a link never replaces a database that was created in the
	// meantime.
	if err := os.Link(next, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func hintMissing(err error, hint string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return rota.WithRemedies(err, rota.Outside(hint))
	}
	return err
}

// checkBackup opens a database that nobody writes to.
func checkBackup(ctx context.Context, path string, k *keys) (err error) {
	pool, err := openSQLite(path, 1, "query_only(1)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var verdict string
	if err := pool.QueryRowContext(ctx, sqlIntegrityCheck).Scan(&verdict); err != nil {
		return explain(err)
	}
	if verdict != "ok" {
		return rota.WithRemedies(fmt.Errorf("the backup is damaged: %s", verdict), rota.Outside("another backup"))
	}
	var wrapped []byte
	if err := pool.QueryRowContext(ctx, sqlDataKey, auditKeyID).Scan(&wrapped); err != nil {
		return fmt.Errorf("not a backup of a Rota store: %w", err)
	}
	row := readFrom(ctx, pool)
	if err := k.master.reload(row); err != nil {
		return hintMissing(err, "put the key file from the backup's time into the folder first")
	}
	if err := k.openAudit(row, wrapped); err != nil {
		return err
	}
	_, err = verify(ctx, pool, nil, k)
	return err
}

// markBackup migrates a backup and marks it as restored.
func markBackup(ctx context.Context, path string, k *keys, o Options) error {
	if err := migrateSQLite(ctx, path, false); err != nil {
		return err
	}
	connection, err := newSQLiteConnection(path, &timeSource{override: o.Now})
	if err != nil {
		return err
	}
	w, err := newWriter(ctx, &database{connection: connection}, k)
	if err != nil {
		return errors.Join(err, connection.close())
	}
	return errors.Join(w.do(ctx, "", markRestored(o.Actor)), w.close())
}

// MarkRestored records that the database was replaced by an older state, such
// as a restored backup: only issuers, stores and targets know what has happened
// since. All leases become void, fences continue from higher numbers, and every
// secret is due, so that each secret's next turn compares its records with the
// outside world before doing anything. [Restore] does this by itself. After
// restoring with another tool, call it before anything uses the store.
func (db *DB) MarkRestored(ctx context.Context) error {
	if err := db.writer.do(ctx, "", markRestored(db.actor)); err != nil {
		return fmt.Errorf("mark %s as restored: %w", db.name, err)
	}
	return nil
}

func markRestored(actor string) func(*tx) error {
	return func(t *tx) error {
		if err := t.voidLeases(); err != nil {
			return err
		}
		if _, err := t.exec(sqlPutRestored, micros(t.now)); err != nil {
			return err
		}
		// What instances reported since then is unknown: they have to be waited for.
		if _, err := t.exec(sqlStopListen); err != nil {
			return err
		}
		return t.append([]rotation.Entry{{At: t.now, Actor: actor, Secret: allSecrets, Step: rotation.OpRestore, Outcome: rotation.OutcomeSucceeded}})
	}
}

// voidLeases makes all leases void. However many there are, no statement takes so long
// that the server ends it.
func (t *tx) voidLeases() error {
	const most = 20_000
	for after := ""; ; {
		var last string
		if _, err := t.row(sqlNextProgress, []any{after, most}, &last); err != nil || last == "" {
			return err
		}
		if _, err := t.exec(sqlVoidLeases, restoredFenceGap, after, last); err != nil {
			return err
		}
		after = last
	}
}

// RestoredAt is when the database was last replaced by an older state; zero for
// never. Anything last looked at before then is out of date.
func (db *DB) RestoredAt(ctx context.Context) (time.Time, error) {
	var at int64
	if _, err := readFrom(ctx, db.reader)(sqlRestored, nil, &at); err != nil {
		return time.Time{}, fmt.Errorf("when the store was restored: %w", err)
	}
	return fromMicros(at), nil
}
