package cli

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Ask the real systems whether a rotation would work",
		Long: `Asks the real systems whether a rotation would work: can Rota log in, list and
create credentials, and write the store and each target; does the issuer have
room for another credential; do names collide. Prints one line per check, with a
hint for each failure, and changes nothing. Exit code 1 if a check failed.`,
		ValidArgsFunction: a.completeNames,
		RunE:              func(c *cobra.Command, args []string) error { return a.check(c.Context(), args) },
	}
}

func (a *app) check(ctx context.Context, names []string) error {
	return a.withOperations(ctx, toAsk, func(o service.Operations) error {
		doc, err := o.Check(ctx, names)
		if err != nil {
			return err
		}
		code := exitDone
		if !doc.OK {
			code = exitFailed
		}
		if a.json() {
			if err := a.document(doc); err != nil {
				return err
			}
			return silently(code)
		}
		for _, f := range doc.Findings {
			a.reportFinding(f)
		}
		summary := fmt.Sprintf("%s: %d failed, %s", plural(len(doc.Findings), "check"), doc.Failed, plural(doc.Warnings, "warning"))
		a.printf("%s", a.paint(a.outStyle, bold, summary))
		return silently(code)
	})
}

func (a *app) reportFinding(f api.FindingDoc) {
	mark, c := a.outStyle.symbol("✓", "ok  "), green
	switch {
	case f.OK:
	case f.Warning:
		mark, c = a.outStyle.symbol("!", "!   "), yellow
	default:
		mark, c = a.outStyle.symbol("✗", "FAIL"), red
	}
	line := ""
	if f.Secret != "" {
		line = f.Secret + ": "
	}
	line += f.Check
	if f.Detail != "" {
		line += ": " + f.Detail
	}
	a.printf("%s %s", a.paint(a.outStyle, c, mark), rota.OneLine(line))
	if !f.OK {
		a.tryLine("     ", f.Remedies)
	}
}
