package cli

import (
	"context"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
)

func (a *app) pauseCommand() *cobra.Command {
	r := api.ControlRequest{Action: api.ControlPause}
	c := &cobra.Command{
		Use:   "pause NAME...",
		Short: "Start nothing new for secrets",
		Long: `Starts no rotation of these secrets and retires no previous credential until
rota resume. In-flight work completes. A person can still rotate them with
rota rotate.`,
		Args:              argCount(1, -1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.control(c.Context(), toSwitch, r, "paused until rota resume")
		},
	}
	reasonFlag(c, &r.Reason)
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume NAME...",
		Short: "Lift a pause or a quarantine",
		Long: `Lifts a pause. Retries secrets that were given up after their last retry
(quarantined). Takes effect at the next rota run, or immediately with rota serve.`,
		Args:              argCount(1, -1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			return a.control(c.Context(), toSwitch, api.ControlRequest{Action: api.ControlResume, Secrets: args}, "resumed")
		},
	}
}

func (a *app) freezeCommand() *cobra.Command {
	r := api.ControlRequest{Action: api.ControlFreeze}
	c := &cobra.Command{
		Use:   "freeze",
		Short: "Start nothing new at all",
		Long: `Starts no rotation and retires nothing, for any secret and not even for a person,
until rota thaw. Use it during an incident or a change freeze. In-flight work
completes.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.control(c.Context(), toSwitch, r, "frozen: nothing new starts until rota thaw")
		},
	}
	reasonFlag(c, &r.Reason)
	return c
}

func (a *app) thawCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "thaw",
		Short: "End a freeze",
		Long:  "Ends a freeze. Paused secrets stay paused.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.control(c.Context(), toSwitch, api.ControlRequest{Action: api.ControlThaw}, "thawed")
		},
	}
}

func (a *app) doneCommand() *cobra.Command {
	r := api.ControlRequest{Action: api.ControlDone}
	c := &cobra.Command{
		Use:   "done NAME",
		Short: "Record that a person has rotated a secret",
		Long: `Records that a person has rotated a secret that no program can rotate
(issuer: {manual: ...}). Its age counts from now.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.control(c.Context(), toWork, r, "recorded as rotated")
		},
	}
	return c
}

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make a running Rota read its rota.yaml again",
		Long: `Makes a running Rota read its rota.yaml again immediately, and says what's wrong
with it, if anything; then the configuration in force stays. Commands without
--server read the file every time.`,
		Args: noArgs, Annotations: inPlace(placeServer),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.control(c.Context(), toSwitch, api.ControlRequest{Action: api.ControlReload}, "configuration reloaded")
		},
	}
}

func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "why: a `text` shown in status and audit")
}

// control applies a change and reports it.
func (a *app) control(ctx context.Context, n need, r api.ControlRequest, said string) error {
	return a.withOperations(ctx, n, func(o service.Operations) error {
		doc, err := o.Control(ctx, r)
		if err != nil {
			return err
		}
		if a.json() {
			return a.document(doc)
		}
		if len(doc.Secrets) == 0 {
			a.printf("%s", said)
		}
		for _, name := range doc.Secrets {
			a.printf("%s: %s", name, said)
		}
		return nil
	})
}
