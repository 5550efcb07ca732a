package cli

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/engine/river"
	"github.com/rota-dev/rota/internal/store"
)

func (a *app) migrateCommand() *cobra.Command {
	var restored bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Migrate the tables of Rota's own store to this version",
		Long: `Migrates the tables of Rota's own store to this version, and creates the store if
there is none. Every command does this by itself; use this one when you want it as
a separate step of a deployment. Older versions refuse a newer store.

With --restored it also records that another tool, such as pg_restore, put the
database back to an older state. Run it before anything else works on the
database. What happened since is known only to issuers, stores and targets, so
every secret is compared with them before anything is done.`,
		Args: noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error { return a.migrate(c.Context(), restored) },
	}
	c.Flags().BoolVar(&restored, "restored", false, "record that the database was restored from a backup")
	return c
}

func (a *app) migrate(ctx context.Context, restored bool) error {
	o, err := a.storeOptions(ctx)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, o); err != nil {
		return refused(err)
	}
	doc := pathDoc{Path: o.Dir}
	if o.DSN != "" {
		doc.Path = "the database"
		if err := migrateQueue(ctx, o.DSN); err != nil {
			return err
		}
	}
	if restored {
		if err := a.markRestored(ctx); err != nil {
			return err
		}
	}
	if a.json() {
		return a.document(doc)
	}
	a.printf("the tables in %s are up to date", doc.Path)
	return nil
}

func (a *app) markRestored(ctx context.Context) error {
	db, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.MarkRestored(ctx)
}

// migrateQueue creates the tables for rota serve's queue.
func migrateQueue(ctx context.Context, database string) error {
	config, err := store.PoolConfig(database)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	defer pool.Close()
	return river.Migrate(ctx, pool)
}
