package cli

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) eventsCommand() *cobra.Command {
	var secret string
	var after int64
	c := &cobra.Command{
		Use:   "events",
		Short: "Follow what a running Rota does",
		Long: `Follows what a running Rota does, until Ctrl-C: the entries of the audit, without
values. With --output json, prints one document per line. If the connection
drops, it reconnects and continues where it left off.`,
		Args: noArgs, Annotations: inPlace(placeServer),
		RunE: func(c *cobra.Command, _ []string) error { return a.events(c.Context(), secret, after) },
	}
	c.Flags().StringVar(&secret, "secret", "", "only events of this secret")
	c.Flags().Int64Var(&after, "after", 0, "start after the entry with this `number` instead of now")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	return c
}

func (a *app) events(ctx context.Context, secret string, after int64) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	return c.Follow(ctx, secret, after, func(e api.NumberedEvent) error {
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
