package cli

import (
	"context"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
)

func (a *app) pauseCommand() *cobra.Command {
	r := api.ControlRequest{Action: api.ControlPause}
	var s selection
	c := &cobra.Command{
		Use:   "pause NAME...",
		Short: "Start nothing new for secrets",
		Long: `Starts no rotation of these secrets and retires no previous credential until
rota resume. In-flight work completes. A person can still rotate them with
rota rotate.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.controlSelected(c.Context(), toSwitch, s, r, "paused until rota resume")
		},
	}
	a.selects(c, &s, true)
	reasonFlag(c, &r.Reason)
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	r := api.ControlRequest{Action: api.ControlResume}
	var s selection
	c := &cobra.Command{
		Use:   "resume NAME...",
		Short: "Lift a pause or a quarantine",
		Long: `Lifts a pause. Retries secrets that were given up after their last retry
(quarantined). Takes effect at the next rota run, or immediately with rota serve.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.controlSelected(c.Context(), toSwitch, s, r, "resumed")
		},
	}
	a.selects(c, &s, true)
	return c
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
			return a.control(c.Context(), r, "frozen: nothing new starts until rota thaw")
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
			return a.control(c.Context(), api.ControlRequest{Action: api.ControlThaw}, "thawed")
		},
	}
}

func (a *app) doneCommand() *cobra.Command {
	r := api.ControlRequest{Action: api.ControlDone}
	var s selection
	c := &cobra.Command{
		Use:   "done NAME...",
		Short: "Record that a person has rotated a secret",
		Long: `Records that a person has rotated a secret that no program can rotate
(issuer: {manual: ...}). Its age counts from now.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.controlSelected(c.Context(), toWork, s, r, "recorded as rotated")
		},
	}
	a.selects(c, &s, true)
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
			return a.control(c.Context(), api.ControlRequest{Action: api.ControlReload}, "configuration reloaded")
		},
	}
}

func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "why: a `text` shown in status and audit")
}

// control applies a change that concerns no secret in particular.
func (a *app) control(ctx context.Context, r api.ControlRequest, said string) error {
	return a.withOperations(ctx, toSwitch, func(o service.Operations) error {
		doc, err := o.Control(ctx, r)
		if err != nil {
			return err
		}
		return a.reportControl(doc, said)
	})
}

// controlSelected applies a change to the selected secrets.
func (a *app) controlSelected(ctx context.Context, n need, s selection, r api.ControlRequest, said string) (err error) {
	return a.withOperations(ctx, n, func(o service.Operations) error {
		if r.Secrets, err = s.resolve(ctx, o); err != nil {
			return err
		}
		doc, err := o.Control(ctx, r)
		if err != nil {
			return err
		}
		return a.reportControl(doc, said)
	})
}

func (a *app) reportControl(doc api.ControlDoc, said string) error {
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
}
