package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of rota.yaml, for editors",
		Long: `Prints the JSON Schema of rota.yaml, which editors use to complete and check it:

  rota schema > rota.schema.json`,
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(*cobra.Command, []string) error {
			schema, err := a.catalog.Schema()
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(schema)
			return err
		},
	}
}
