package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"rota"
)

// Backup writes a consistent copy of the database to a new file, while work
// goes on. The key file is not in it: keep a copy of that apart, and one for
// each time that the master key was rotated, for a backup needs the key file
// of its time. Whoever has both has every value.
func (db *DB) Backup(ctx context.Context, path string) error {
	note := func(outcome rota.Outcome) error {
		// What was done is told even where the caller has just given up.
		return db.Record(context.WithoutCancel(ctx), rota.Entry{At: db.now(), Actor: db.actor, Step: "backup", Object: path, Outcome: outcome})
	}
	err := note(rota.Begun)
	if err == nil {
		outcome := rota.Succeeded
		if err = db.backup(ctx, path); err != nil {
			outcome = rota.Erred
		}
		err = errors.Join(err, note(outcome))
	}
	if err != nil {
		return fmt.Errorf("back up %s to %s: %w", db.dir, path, err)
	}
	return nil
}

func (db *DB) backup(ctx context.Context, path string) (err error) {
	// SQLite writes into an existing file if it is empty: so it is made here,
	// for the owner alone and never over another.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	pool, err := openSQLite(filepath.Join(db.dir, databaseFile), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := pool.ExecContext(ctx, sqlVacuumInto, path); err != nil {
		return explain(err)
	}
	return errors.Join(f.Sync(), syncDir(filepath.Dir(path)))
}

// Restore puts a backup into a folder that holds its key file and no database.
// It does so only if the backup is whole, the key file opens it and its audit
// verifies.
func Restore(ctx context.Context, backupPath, dir string) error {
	if err := restore(ctx, backupPath, dir); err != nil {
		return fmt.Errorf("restore %s to %s: %w", backupPath, dir, err)
	}
	return nil
}

func restore(ctx context.Context, backupPath, dir string) (err error) {
	path := filepath.Join(dir, databaseFile)
	if err := private(dir); err != nil {
		return hintMissing(err, "make the folder with mode 0700 and put the backup's key file in it as "+keyFile)
	}
	for _, p := range []string{path, path + "-wal"} {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s is there already (try: another folder)", p), err)
		}
	}
	k := &keys{master: &master{path: filepath.Join(dir, keyFile)}}
	if err := k.master.reload(); err != nil {
		return hintMissing(err, "put the key file of the backup's time into the folder first")
	}

	next := path + ".restore"
	if err := copyFile(backupPath, next); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(next)) }()
	if err := check(ctx, next, k); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces a database that was made in the
	// meantime.
	if err := os.Link(next, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func hintMissing(err error, hint string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (try: %s)", err, hint)
	}
	return err
}

// check opens a database that nobody writes to.
func check(ctx context.Context, path string, k *keys) (err error) {
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
		return fmt.Errorf("the backup is damaged: %s (try: another backup)", verdict)
	}
	var wrapped []byte
	if err := pool.QueryRowContext(ctx, sqlDataKey, auditKeyID).Scan(&wrapped); err != nil {
		return fmt.Errorf("not a backup of a Rota store: %w", err)
	}
	if err := k.openAudit(wrapped); err != nil {
		return err
	}
	_, err = verify(ctx, pool, k)
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}
