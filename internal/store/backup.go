package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Backup writes a consistent copy of the database to a new file without
// stopping work. The copy doesn't include the key file. Keep a copy of that
// somewhere else, one for each rotation of the master key: a backup needs the
// key file from its own time, and anyone who has both has every value. Back up
// a store on PostgreSQL with PostgreSQL's own tools.
func (db *DB) Backup(ctx context.Context, path string) error {
	if db.path == "" {
		return rota.WithRemedies(fmt.Errorf("back up %s: a store on PostgreSQL is backed up with PostgreSQL's own tools", db.name), rota.Outside(fmt.Sprintf("pg_dump --format=custom --file=%s", path)))
	}
	note := func(outcome rotation.Outcome) error {
		// The result is audited even if the caller has just given up.
		return db.Audit().Record(context.WithoutCancel(ctx), rotation.Entry{At: db.Now(), Actor: db.actor, Step: rotation.OpBackup, Object: path, Outcome: outcome})
	}
	err := note(rotation.OutcomeBegun)
	if err == nil {
		outcome := rotation.OutcomeSucceeded
		if err = db.backup(ctx, path); err != nil {
			outcome = rotation.OutcomeFailed
		}
		err = errors.Join(err, note(outcome))
	}
	if err != nil {
		return fmt.Errorf("back up %s to %s: %w", db.name, path, err)
	}
	return nil
}

func (db *core) backup(ctx context.Context, path string) (err error) {
	// SQLite writes into an existing file if it's empty. Creating it here makes
	// it private to its owner and never overwrites another.
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
	pool, err := openSQLite(db.path, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := pool.ExecContext(ctx, sqlVacuumInto, path); err != nil {
		return explain(err)
	}
	return errors.Join(f.Sync(), syncDir(filepath.Dir(path)))
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
