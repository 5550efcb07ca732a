package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
)

func (a *app) checkCommand() *cobra.Command {
	var s selection
	var onlyFailed bool
	c := &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Ask the real systems whether a rotation would work",
		Long: `Asks the real systems whether a rotation would work: can Rota log in, list and
create credentials, and write the store and each target; does the issuer have
room for another credential; do names collide. Prints one line per check, with a
hint for each failure, and changes nothing. What several secrets have in common,
such as a connection that's down, is printed once. Exit code 1 if a check failed.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.check(c.Context(), s, onlyFailed) },
	}
	c.Flags().BoolVar(&onlyFailed, "failed", false, "show only the checks that failed")
	a.selects(c, &s, false)
	return c
}

func (a *app) check(ctx context.Context, s selection, onlyFailed bool) error {
	return a.withOperations(ctx, toAsk, func(o service.Operations) error {
		names, err := s.resolve(ctx, o)
		if err != nil {
			return err
		}
		doc, err := o.Check(ctx, names)
		if err != nil {
			return err
		}
		checks := len(doc.Findings)
		if onlyFailed {
			doc.Findings = slices.DeleteFunc(doc.Findings, func(f api.FindingDoc) bool { return f.OK || f.Warning })
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
		for _, g := range groups(doc.Findings) {
			a.reportGroup(g)
		}
		summary := fmt.Sprintf("%s: %d failed, %s", plural(checks, "check"), doc.Failed, plural(doc.Warnings, "warning"))
		a.printf("%s", a.paint(a.outStyle, bold, summary))
		return silently(code)
	})
}

// group is a finding with every place that has it.
type group struct {
	rota.Finding
	places []spot
}

// spot is a part of a secret, such as its store; "" for the secret as a whole.
type spot struct{ secret, part string }

// groups puts together what is wrong in several places for the same reason, at
// the first one's place. Checks that passed keep a line each.
func groups(findings []api.FindingDoc) []group {
	var out []group
	for _, f := range findings {
		g := group{Finding: f.Finding, places: []spot{{secret: f.Secret}}}
		if part, check, found := strings.Cut(f.Check, ": "); f.Secret != "" && found {
			g.places[0].part, g.Check = part, check
		}
		i := slices.IndexFunc(out, func(o group) bool { return !f.OK && o.sameAs(g) })
		if i < 0 {
			out = append(out, g)
			continue
		}
		out[i].places = append(out[i].places, g.places...)
	}
	return out
}

func (g group) sameAs(o group) bool {
	return g.OK == o.OK && g.Warning == o.Warning && g.Check == o.Check && g.Detail == o.Detail && slices.Equal(g.Remedies, o.Remedies)
}

// where lists the places, each secret once.
func (g group) where() string {
	var secrets []string
	parts := map[string][]string{}
	for _, p := range g.places {
		if !slices.Contains(secrets, p.secret) {
			secrets = append(secrets, p.secret)
		}
		if p.part != "" {
			parts[p.secret] = append(parts[p.secret], p.part)
		}
	}
	for i, name := range secrets {
		if of := parts[name]; len(of) > 0 {
			secrets[i] += " (" + strings.Join(of, ", ") + ")"
		}
	}
	return strings.Join(secrets, ", ")
}

func (a *app) reportGroup(g group) {
	mark, c := a.outStyle.symbol("✓", "ok  "), green
	switch {
	case g.OK:
	case g.Warning:
		mark, c = a.outStyle.symbol("!", "!   "), yellow
	default:
		mark, c = a.outStyle.symbol("✗", "FAIL"), red
	}
	words := []string{g.Check}
	if len(g.places) == 1 {
		words = []string{g.places[0].secret, g.places[0].part, g.Check}
	}
	words = slices.DeleteFunc(append(words, g.Detail), func(w string) bool { return w == "" })
	a.printf("%s %s", a.paint(a.outStyle, c, mark), rota.OneLine(strings.Join(words, ": ")))
	if len(g.places) > 1 {
		a.printf("     concerns %s", g.where())
	}
	if !g.OK {
		a.tryLine("     ", g.Remedies)
	}
}
