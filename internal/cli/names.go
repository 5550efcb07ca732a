package cli

import (
	"context"
	"slices"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
)

// completeTimeout limits how long the tab key waits for a server.
const completeTimeout = 3 * time.Second

// completeNames lets the shell complete secret names.
func (a *app) completeNames(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, err := a.secretNames(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) }), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) secretNames(ctx context.Context) ([]string, error) {
	if a.serverURL() == "" {
		file, err := a.load()
		if err != nil {
			return nil, err
		}
		return file.Names(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	var names []string
	err := a.withOperations(ctx, toLook, func(o service.Operations) error {
		doc, err := o.Status(ctx, api.StatusRequest{})
		for _, s := range doc.Secrets {
			names = append(names, s.Secret)
		}
		return err
	})
	return names, err
}
