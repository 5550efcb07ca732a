package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages to a folder",
		Args:  argCount(1, 1), Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, args []string) error {
			//nolint:gosec // manual pages are for everybody to read
			if err := os.Mkdir(args[0], 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return refused(err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			// The pages are dated today, or by SOURCE_DATE_EPOCH.
			header := &doc.GenManHeader{Section: "1", Source: "rota " + Version, Manual: "Rota"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return err
			}
			if a.json() {
				return a.document(pathDoc{Path: args[0]})
			}
			a.printf("wrote the manual pages to %s", args[0])
			return nil
		},
	}
}
