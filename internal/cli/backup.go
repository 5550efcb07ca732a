package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/store"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup PATH",
		Short: "Copy the database of Rota's own store to a new file",
		Long: `Writes a consistent copy of the database of Rota's own store to a new file, while
Rota keeps running. The copy doesn't include the key file, rota.key: keep a copy
of that elsewhere. Anyone who has both has every value.`,
		Args: argCount(1, 1), Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, args []string) error { return a.backup(c.Context(), args[0]) },
	}
}

func (a *app) backup(ctx context.Context, path string) error {
	db, err := a.peekStore(ctx)
	if err != nil {
		return err
	}
	if db == nil {
		dir, _ := a.dataDir() // peekStore has already asked it
		return usage("nothing to back up in %s", dir)
	}
	defer func() { _ = db.Close() }()
	if err := db.Backup(ctx, path); err != nil {
		return err
	}
	if a.json() {
		return a.document(pathDoc{Path: path})
	}
	a.printf("wrote %s. Restoring it needs today's key file: keep a copy of that elsewhere.", path)
	return nil
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore PATH",
		Short: "Restore a backup into the data folder",
		Long: `Restores a backup into the data folder. The folder must hold no database, and the
key file from the time of the backup as rota.key. Refuses a damaged backup, a
different key file, and an audit that doesn't verify.`,
		Args: argCount(1, 1), Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := a.storeOptions(c.Context())
			if err != nil {
				return err
			}
			if err := store.Restore(c.Context(), args[0], o); err != nil {
				return refused(err)
			}
			if a.json() {
				return a.document(pathDoc{Path: o.Dir})
			}
			a.printf("restored %s from %s. The next rota run finds out from the stores and issuers what happened since the backup.", o.Dir, args[0])
			return nil
		},
	}
}
