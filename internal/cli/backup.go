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
work goes on. The key file rota.key is not in it: keep a copy of that apart.
Whoever has both has every value.`,
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
		dir, _ := a.dataDir() // peekStore has asked it already
		return usage("there is nothing to back up in %s", dir)
	}
	defer func() { _ = db.Close() }()
	if err := db.Backup(ctx, path); err != nil {
		return err
	}
	if a.json() {
		return a.document(pathDoc{Path: path})
	}
	a.printf("%s is written. It needs the key file of today: keep a copy of that apart.", path)
	return nil
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore PATH",
		Short: "Put a backup into the data folder",
		Long: `Puts a backup into the data folder, which must hold the key file of the backup's
time as rota.key, and no database. It does so only if the backup is whole, the
key file opens it and its audit verifies.`,
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
			a.printf("%s is restored from %s. What was done since is found out from the stores and issuers at the next rota run.", o.Dir, args[0])
			return nil
		},
	}
}
