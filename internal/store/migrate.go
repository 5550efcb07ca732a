package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/rota-dev/rota"
)

//go:embed migrations
var migrations embed.FS

var errNewer = errors.New("the database was created by a newer version of Rota")

// ErrPending means that the schema is older than this program, which isn't
// allowed to migrate it.
var ErrPending = errors.New("the database's schema is older than this program")

// Migrate brings the schema up to date, creating a new database if there is
// none. Several processes may call it at the same time.
func Migrate(ctx context.Context, o Options) error {
	o.ManualMigrations = false
	db, err := Open(ctx, o)
	if err != nil {
		return err
	}
	return db.Close()
}

// migrate does so over an open connection or, with manual, refuses a schema
// that's too old.
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
		return rota.WithRemedies(fmt.Errorf("%w: its schema is version %d, this program knows %d", errNewer, have, want), rota.Outside("install the newer version"))
	case have < want && manual:
		return rota.WithRemedies(fmt.Errorf("%w: the schema is version %d, this program needs %d", ErrPending, have, want), rota.Command("rota migrate"))
	case have == want:
		return nil
	}
	_, err = provider.Up(ctx)
	return err
}
