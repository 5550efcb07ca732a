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
	known, err := a.knownSecrets(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.DeleteFunc(namesOf(known), func(n string) bool { return slices.Contains(args, n) }), cobra.ShellCompDirectiveNoFileComp
}

// completeOwners lets the shell complete the owners of secrets.
func (a *app) completeOwners(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	known, err := a.knownSecrets(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return ownersOf(known), cobra.ShellCompDirectiveNoFileComp
}

// knownSecrets are the secrets' names and owners. On this machine, rota.yaml has
// them, and no store is opened.
func (a *app) knownSecrets(ctx context.Context) ([]api.StatusSecretDoc, error) {
	if a.serverURL() == "" {
		file, err := a.load(ctx)
		if err != nil {
			return nil, err
		}
		var known []api.StatusSecretDoc
		owners := file.Owners()
		for _, name := range file.Names() {
			known = append(known, api.StatusSecretDoc{Secret: name, Owner: owners[name]})
		}
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	var known []api.StatusSecretDoc
	err := a.withOperations(ctx, toLook, func(o service.Operations) error {
		doc, err := o.Status(ctx, api.StatusRequest{})
		known = doc.Secrets
		return err
	})
	return known, err
}
