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
		Short: "Let nothing new begin for secrets",
		Long: `Lets no rotation of the secrets begin, and no previous credential be retired,
until rota resume. What has begun comes to its end. A person may still rotate
them, with rota rotate.`,
		Args:              argCount(1, -1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.control(c.Context(), toSwitch, r, "paused; rota resume ends it")
		},
	}
	reasonFlag(c, &r.Reason)
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume NAME...",
		Short: "Lift a pause or a quarantine",
		Long: `Lifts a pause of the secrets. What was given up after its last retry
(quarantined) is tried again. Both are looked at with the next rota run, or by
rota serve at once.`,
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
		Short: "Let nothing new begin at all",
		Long: `Lets no rotation begin and nothing be retired, of any secret and not even for a
person, until rota thaw: for an incident, or a day on which nothing may change.
What has begun comes to its end.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.control(c.Context(), toSwitch, r, "frozen: nothing new begins until rota thaw")
		},
	}
	reasonFlag(c, &r.Reason)
	return c
}

func (a *app) thawCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "thaw",
		Short: "End a freeze",
		Long:  "Ends a freeze. Secrets that are paused stay so.",
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
		Short: "Note that a person has rotated a secret",
		Long: `Notes that a person has rotated a secret that no program can rotate
(issuer: {manual: ...}). From now on its age counts anew.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.control(c.Context(), toWork, r, "noted as rotated")
		},
	}
	return c
}

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have a running Rota read its rota.yaml again",
		Long: `Has a running Rota read its rota.yaml again, at once, and says what is wrong with
it; then the one in force stays. Commands without --server read it every time.`,
		Args: noArgs, Annotations: inPlace(placeServer),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.control(c.Context(), toSwitch, api.ControlRequest{Action: api.ControlReload}, "the configuration was read again")
		},
	}
}

func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "why, for people: a `text` for status and audit")
}

// control does it and says so.
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
