package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"rota/config"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [PATH]",
		Short: "Write a commented rota.yaml to start from",
		Long:  "Writes a commented rota.yaml to start from. It never overwrites a file.",
		Args:  argCount(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.configPath()
			if len(args) > 0 {
				path = args[0]
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return usage("%s is there already (try: rota init another.yaml)", path)
			}
			if err != nil {
				return refused(err)
			}
			_, err = f.WriteString(config.Starter())
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			if a.json() {
				return a.document(pathDoc{Path: path})
			}
			a.printf("%s is written. Next: edit it, then rota validate, rota check and rota plan.", path)
			return nil
		},
	}
}
