package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) keyCommand() *cobra.Command {
	key := &cobra.Command{
		Use:   "key",
		Short: "The master key of Rota's own store",
		Args:  noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	key.AddCommand(&cobra.Command{
		Use:   "rotate",
		Short: "Make a new master key and encrypt all data keys with it",
		Long: `Makes a new master key, encrypts every data key of Rota's own store with it and
takes the old one out of the key file. Stopped anywhere, the store works on, and
the next call finishes the work. Keep the old key file with the backups of its
time: they need it. With a key file and replicas on PostgreSQL, stop them first.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rotateKey(c.Context()) },
	})
	return key
}

func (a *app) rotateKey(ctx context.Context) error {
	const told = "Backups made before need the key file of their time: see that a copy of it is kept.\n"
	if err := a.confirm(ctx, told, "Rotate the master key?"); err != nil {
		return err
	}
	db, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var doc keyDoc
	err = db.RotateMasterKey(ctx, func(done, total int) {
		doc.DataKeys = total
		if a.errStyle.terminal && !a.json() {
			fmt.Fprintf(a.Stderr, "\r%d of %d data keys", done, total)
			if done == total {
				fmt.Fprintln(a.Stderr)
			}
		}
	})
	if err != nil {
		return err
	}
	if a.json() {
		return a.document(doc)
	}
	a.printf("there is a new master key; %s encrypted anew", plural(doc.DataKeys, "data key"))
	return nil
}
