package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [PATH]",
		Short: "Write a commented rota.yaml to start from",
		Long: `Writes a commented rota.yaml to start from, and rota.schema.json beside it, which
editors use to complete and check it. Never overwrites a file.`,
		Args: argCount(0, 1), Annotations: inPlace(placeNowhere),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.configPath()
			if len(args) > 0 {
				path = args[0]
			}
			schema, err := a.catalog.Schema()
			if err != nil {
				return err
			}
			err = writeNew(path, []byte(config.Starter()))
			if errors.Is(err, fs.ErrExist) {
				return rota.WithRemedies(usage("%s already exists", path), rota.Command("rota init another.yaml"))
			}
			if err != nil {
				return refused(err)
			}
			// The first line of rota.yaml names the schema. An existing one will do.
			schemaPath := filepath.Join(filepath.Dir(path), "rota.schema.json")
			if err := writeNew(schemaPath, schema); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if a.json() {
				return a.document(pathDoc{Path: path, Schema: schemaPath})
			}
			a.printf("wrote %s. Next: edit it, then run rota validate, rota check and rota plan.", path)
			a.printf("wrote %s, its schema for editors.", schemaPath)
			return nil
		},
	}
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
