package cli

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/controller/manifests"
)

func (a *app) schemaCommand() *cobra.Command {
	var ofAgent, crds bool
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of rota.yaml, for editors",
		Long: `Prints the JSON Schema of rota.yaml, which editors use to complete and check it:

  rota schema > rota.schema.json

With --crds, it prints the CustomResourceDefinitions of this version's resources, for
rota controller:

  rota schema --crds | kubectl apply --server-side -f -`,
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(*cobra.Command, []string) error {
			if crds {
				return a.printDefinitions()
			}
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
	c.Flags().BoolVar(&crds, "crds", false, "print the CustomResourceDefinitions of rota controller instead, in YAML")
	c.MarkFlagsMutuallyExclusive("agent", "crds")
	return c
}

// printDefinitions prints the manifests as one stream of documents.
func (a *app) printDefinitions() error {
	files, err := manifests.Manifests(a.catalog)
	if err != nil {
		return err
	}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		if i > 0 {
			if _, err := a.Stdout.Write([]byte("---\n")); err != nil {
				return err
			}
		}
		if _, err := a.Stdout.Write(files[name]); err != nil {
			return err
		}
	}
	return nil
}
