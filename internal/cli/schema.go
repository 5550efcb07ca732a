package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) schemaCommand() *cobra.Command {
	var ofAgent bool
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of rota.yaml, for editors",
		Long: `Prints the JSON Schema of rota.yaml, which editors use to complete and check it:

  rota schema > rota.schema.json`,
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(*cobra.Command, []string) error {
			make := a.catalog.Schema
			if ofAgent {
				make = a.catalog.AgentSchema
			}
			schema, err := make()
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(schema)
			return err
		},
	}
	c.Flags().BoolVar(&ofAgent, "agent", false, "print the one of agent.yaml, the file of rota agent")
	return c
}
