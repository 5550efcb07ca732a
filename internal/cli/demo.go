package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Play the whole life of two credentials, on embedded parts",
		Long: `Plays the whole life of two credentials in fast time: an IAM user's access key
and a database password. Needs no account and no configuration, and contacts
nothing beyond this machine. Prints a story, whatever --output says.`,
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error {
			return demo.Run(c.Context(), a.Stdout, a.outStyle.color)
		},
	}
}
