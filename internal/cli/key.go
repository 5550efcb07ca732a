package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) keyCommand() *cobra.Command {
	key := &cobra.Command{
		Use:   "key",
		Short: "Manage the master key of Rota's own store",
		Args:  noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	key.AddCommand(&cobra.Command{
		Use:   "rotate",
		Short: "Create a new master key and re-encrypt all data keys with it",
		Long: `Creates a new master key, re-encrypts every data key of Rota's own store with it,
opens each one with it, and only then removes the old key from the key file. A
copy of the old key file stays beside it: earlier backups need it. If it's
interrupted, the store still works; run it again to finish. With a key file and
replicas on PostgreSQL, stop the replicas first.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rotateKey(c.Context()) },
	})
	return key
}

func (a *app) rotateKey(ctx context.Context) error {
	const told = "Earlier backups need the key file from their time. A copy of it is kept in the data folder.\n"
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
	doc.OldKey = db.OldKeyFile()
	if a.json() {
		return a.document(doc)
	}
	a.printf("created a new master key; %s re-encrypted", plural(doc.DataKeys, "data key"))
	if doc.OldKey != "" {
		a.printf("the new key opens all of them; the old key file is kept as %s: move it to the backups from its time, which need it", doc.OldKey)
	}
	return nil
}
