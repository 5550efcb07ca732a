package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store/anchor"
)

func (a *app) auditVerifyCommand() *cobra.Command {
	var heads []string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Recompute the chain, and compare it with the heads kept outside",
		Long: `Recomputes the whole chain of the audit, and compares it with the signed heads
kept outside according to rota.yaml (server: {audit: {anchors: ...}}). This finds
entries that were changed, inserted, removed or cut off at the end, and an audit
that was reset to an older state. Use --heads for heads kept by a webhook's
receiver: a file with one head per line.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.verifyAudit(c.Context(), heads) },
	}
	c.Flags().StringArrayVar(&heads, "heads", nil, "a `file` with signed heads, one per line")
	return c
}

// places are where signed heads are kept: the given files and, on this
// machine, the places in rota.yaml, if there is one.
func (a *app) places(ctx context.Context, files []string) ([]anchor.Destination, error) {
	var places []anchor.Destination
	for _, path := range files {
		if _, err := os.Stat(path); err != nil {
			return nil, refused(err)
		}
		places = append(places, anchor.File{Path: path})
	}
	file, err := a.load(ctx)
	if errors.Is(err, os.ErrNotExist) {
		return places, nil
	}
	if err != nil {
		return nil, refused(err)
	}
	more, err := file.Anchors(ctx, config.Environment{LookupEnv: a.lookupEnv})
	return append(places, more...), refused(err)
}

func (a *app) auditExportCommand() *cobra.Command {
	var r api.HistoryRequest
	var secrets []string
	c := &cobra.Command{
		Use:   "export",
		Short: "All entries of the audit, in order, as JSON lines",
		Long: `Writes all entries of the audit to standard output, in order, one JSON document
per line. To continue later, pass the number of the last entry to --after.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.exportAudit(c.Context(), secrets, r) },
	}
	c.Flags().Int64Var(&r.After, "after", 0, "only entries with a higher `number`")
	secretFlag(c, &secrets, "only the entries of this `secret`, or of those that match a pattern; repeatable")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	return c
}

// exportAudit reads page by page, starting with the oldest.
func (a *app) exportAudit(ctx context.Context, secrets []string, r api.HistoryRequest) error {
	const page = 1000
	names, n, err := a.auditedNames(ctx, secrets)
	if err != nil {
		return err
	}
	if len(names) == 1 {
		r.Secret = names[0] // of several, the order is the audit's: they're picked out of all
	}
	r.Limit, r.Oldest = page, true
	lines := json.NewEncoder(a.Stdout)
	lines.SetEscapeHTML(false)
	return a.withOperations(ctx, n, func(o service.Operations) error {
		for {
			doc, err := o.History(ctx, r)
			if err != nil {
				return err
			}
			for _, e := range doc.Entries {
				r.After = e.Seq
				if !oneOf(names, e.Secret) {
					continue
				}
				if err := lines.Encode(e); err != nil {
					return err
				}
			}
			if len(doc.Entries) < page {
				return nil
			}
		}
	})
}
