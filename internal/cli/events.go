package cli

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
)

func (a *app) eventsCommand() *cobra.Command {
	var secrets []string
	var after int64
	c := &cobra.Command{
		Use:   "events",
		Short: "Follow what a running Rota does",
		Long: `Follows what a running Rota does, until Ctrl-C: the entries of the audit, without
values. With --output json, prints one document per line. If the connection
drops, it reconnects and continues where it left off.`,
		Args: noArgs, Annotations: inPlace(placeServer),
		RunE: func(c *cobra.Command, _ []string) error { return a.events(c.Context(), secrets, after) },
	}
	secretFlag(c, &secrets, "only events of this `secret`, or of those that match a pattern; repeatable")
	c.Flags().Int64Var(&after, "after", 0, "start after the entry with this `number` instead of now")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	return c
}

func (a *app) events(ctx context.Context, secrets []string, after int64) error {
	if err := (selection{names: secrets}).validate(); err != nil {
		return err
	}
	wanted := func(name string) bool {
		return len(secrets) == 0 || slices.ContainsFunc(secrets, func(p string) bool { return access.Match(p, name) })
	}
	one := ""
	if len(secrets) == 1 && !isPattern(secrets[0]) {
		one = secrets[0] // the server picks; otherwise, secrets that don't exist yet may match later
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	return c.Follow(ctx, one, after, func(e api.NumberedEvent) error {
		if !wanted(e.Secret) {
			return nil
		}
		if a.json() {
			return json.NewEncoder(a.Stdout).Encode(e)
		}
		line := at(e.At) + "  " + e.Secret + "  " + e.Step
		for _, more := range []string{e.Object, e.Credential} {
			if more != "" {
				line += " " + more
			}
		}
		by := e.Actor
		if e.Detail != "" {
			by += "  " + e.Detail
		}
		a.printf("%s  %s  %s", line, a.paint(a.outStyle, outcomeColors[e.Outcome], string(e.Outcome)), by)
		return nil
	})
}
