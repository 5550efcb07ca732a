package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
)

func (a *app) holdersCommand() *cobra.Command {
	var forget bool
	var r api.ForgetRequest
	c := &cobra.Command{
		Use:   "holders NAME",
		Short: "Show which instances hold which version of a secret",
		Long: `Shows which version of a secret each instance of an application holds, as the
instances reported, and since when. Those with an older version come first. With
the policy retire_when, the previous credential isn't retired while there are any.

--forget drops the reports about older versions: the instances are gone for good.
An instance that isn't is back with its next report.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r.Secret = args[0]
			if forget {
				return a.forgetHolders(c.Context(), r)
			}
			if r.Instance != "" || r.Reason != "" {
				return refused(rota.WithRemedies(errors.New("--instance and --reason are for --forget"), rota.Command("--forget")))
			}
			return a.holders(c.Context(), r.Secret)
		},
	}
	c.Flags().BoolVar(&forget, "forget", false, "drop the reports about older versions")
	c.Flags().StringVar(&r.Instance, "instance", "", "with --forget, only this instance's")
	c.Flags().StringVar(&r.Reason, "reason", "", "with --forget, the reason, for the audit")
	return c
}

func (a *app) holders(ctx context.Context, name string) error {
	return a.withOperations(ctx, toLook, func(o service.Operations) error {
		doc, err := o.Holders(ctx, name)
		switch {
		case err != nil:
			return err
		case a.json():
			return a.document(doc)
		}
		a.printHolders(doc)
		return nil
	})
}

func (a *app) printHolders(doc api.HoldersDoc) {
	now := a.Now()
	var rows [][]cell
	for _, h := range doc.Holders {
		which, instance := "older", h.Instance
		if h.Current {
			which = "current"
		}
		if instance == "" {
			instance = "(more than can be counted)"
		}
		rows = append(rows, cells(instance, h.Principal, h.Version, which, when(h.Since, now), when(h.Until, now)))
	}
	if len(rows) == 0 {
		a.printf("no instance reports that it holds %s", doc.Secret)
	} else {
		a.table([]string{"INSTANCE", "PRINCIPAL", "VERSION", "WHICH", "SINCE", "UNTIL"}, rows)
	}
	if doc.Retires && doc.ListeningSince.IsZero() {
		a.printf("")
		a.printf("%s", hint.Add("no server runs to which instances could report, so the previous credential isn't retired", rota.Command("rota serve")))
	}
}

func (a *app) forgetHolders(ctx context.Context, r api.ForgetRequest) error {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		doc, err := o.Forget(ctx, r)
		switch {
		case err != nil:
			return err
		case a.json():
			return a.document(doc)
		}
		a.printf("%s: %d reports about older versions are forgotten; instances that still run report again", doc.Secret, doc.Forgotten)
		return nil
	})
}
