package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

var errNewer = errors.New("the database was made by a newer version of Rota")

// ErrPending says that the tables are older than this program, and that it may
// not change them by itself.
var ErrPending = errors.New("the database's tables are older than this program")

// Migrate brings the tables up to this program's, making a new database where
// there is none. Several processes may call it at the same time.
func Migrate(ctx context.Context, o Options) error {
	o.ManualMigrations = false
	db, err := Open(ctx, o)
	if err != nil {
		return err
	}
	return db.Close()
}

// migrate does so over an open connection, or where that is manual, refuses
// tables that are too old.
func migrate(ctx context.Context, dialect goose.Dialect, pool *sql.DB, folder string, manual bool) error {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, pool, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	switch {
	case have > want:
		return fmt.Errorf("%w: its tables are number %d, this program knows %d (try: install the newer version)", errNewer, have, want)
	case have < want && manual:
		return fmt.Errorf("%w: they are number %d, it needs %d (try: rota migrate)", ErrPending, have, want)
	case have == want:
		return nil
	}
	_, err = provider.Up(ctx)
	return err
}
